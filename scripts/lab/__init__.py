"""The laboratory behind `make_captures`: slide traces written from text, calls made with sipp."""
