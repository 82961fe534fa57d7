"""From one machine to many: runs on a cluster, and models in other programs' formats."""
