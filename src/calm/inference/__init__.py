"""From photos to answers with one network."""
