"""What the lessons are furnished with: the device they run on, the check of their exercises, their figures."""
