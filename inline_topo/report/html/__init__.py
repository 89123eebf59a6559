"""Reports as one self-contained page: `page` is what it shows, `render` makes the file."""
