"""The machine a program runs on: terminal, signals, installed files."""
