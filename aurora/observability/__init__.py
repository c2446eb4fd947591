"""What Aurora says about itself: health, metrics."""
