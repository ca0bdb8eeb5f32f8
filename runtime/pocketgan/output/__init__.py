"""What becomes of drawn images: files of several formats, sheets, animations, standard output, a terminal."""
