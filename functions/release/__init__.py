"""The release step: an approved version goes to the model's Deployment, is judged, and promoted or taken back.

`python -m release roll-out …` is what runs after a new image, `python -m release roll-back …` the way back. Both may be
killed at any moment and run again.
"""
