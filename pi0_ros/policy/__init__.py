"""One observation in, one chunk out. Import the modules: some of them load torch, most do not."""
