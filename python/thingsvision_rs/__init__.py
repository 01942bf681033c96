"""Activations of deep vision networks, their RDMs, and how these relate to behaviour and fMRI.

    import thingsvision_rs as tv
    run = tv.extract(model="resnet50", layers=["layer4.*", "avgpool"], images="my-images/")
    run["avgpool"]                  # [images, 2048], mapped from its file
    tv.rsa(behavior="judgements.npy", runs=[run])

Each function starts the program `thingsvision`, whose flags its arguments are: `batch_size=8` is `--batch-size 8`, a list
repeats a flag, `True` gives it without a value, `None` and `False` leave it out. `thingsvision extract --help` explains them.
What has no function here goes through `command`.
"""

from ._runs import Run, ThingsvisionError, command, extract, load, rdm, rsa

__all__ = ["Run", "ThingsvisionError", "command", "extract", "load", "rdm", "rsa"]
__version__ = "0.2.0"
