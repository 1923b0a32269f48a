"""The same files through what people would use instead."""
