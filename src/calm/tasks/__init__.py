"""What the model is taught and asked: one file a task."""
