"""What is published: metadata, archives, the container image, and the files that forges show."""
