"""Exports a vision network to one TorchScript file, which `thingsvision --model FILE` runs without Python.

    python export_model.py torchvision:resnet50 resnet50.pt                  # the default pretrained weights
    python export_model.py torchvision:resnet50.IMAGENET1K_V1 resnet50.pt    # others, by their name
    python export_model.py timm:vit_small_patch14_dinov2.lvd142m dino.pt
    python export_model.py open_clip:ViT-B-32/openai clip.pt                 # the image tower
    python export_model.py transformers:facebook/dinov2-base dinov2.pt       # of Hugging Face, by name or folder
    python export_model.py my_network.py:make_network mine.pt --resize 256 --crop 224 --mean 0.5,0.5,0.5 --std 0.5,0.5,0.5

`make_network` is a function without arguments that returns a torch.nn.Module; its input is a batch of images [N, 3, H, W].
Needs torch, and the library that is named. The file holds the network, its weights, and what goes with them: how images are
prepared, which layer to take by default, the licence. It is loaded again and compared with the network before it is kept.
"""

import argparse
import collections
import collections.abc
import contextlib
import copy
import dataclasses
import functools
import hashlib
import importlib.util
import inspect
import json
import keyword
import math
import os
import pathlib
import pickle
import re
import shlex
import sys
import warnings

import torch
from torch import nn

FORMAT = 1
RECORD = "thingsvision.json"
INTERPOLATIONS = ("bilinear", "bicubic", "lanczos")
READOUTS = ("none", "flatten", "mean", "max", "cls", "patches", "cls+patches")
# What a default readout says of the tokens, if nothing else does.
ASSUMED = {"cls": "cls", "patches": "none"}
# How far the file may differ from the network, in units of its largest value.
TOLERANCE = 1e-5


class ExportError(Exception):
    """Something that the person who exports can put right."""


@dataclasses.dataclass
class Network:
    """A network, and what its library says about it."""

    model: nn.Module
    name: str
    source: str
    weights: str
    licence: str = ""
    citation: str = ""
    # How its images are prepared; None if not known, a text that says why if thingsvision cannot do it.
    preprocessing: dict | str | None = None
    # The same for other weights than the library's, if that differs.
    preprocessing_of_others: dict | str | None = None
    # Height and width of its input.
    size: tuple[int, int] = (224, 224)
    tokens: str | None = None


@dataclasses.dataclass
class Exported:
    """What `export` made."""

    # The network in PyTorch, from which the file was made.
    model: nn.Module
    # What is stored beside it.
    record: dict
    # Height and width of its input.
    size: tuple[int, int]
    # "scripted" or "traced".
    way: str
    # Why it was not scripted.
    reason: str
    # Why this default layer.
    default_because: str


def export(source: str, path, *, random=False, seed=0, checkpoint=None, trace=False, size=None, default_layer=None, readout=None,
           tokens=None, resize=None, crop=None, interpolation=None, mean=None, std=None, licence=None, citation=None,
           weights_from=None) -> Exported:
    """Writes the network that `source` names to `path`; the options are those of the command line.

    `source` may also be a function that returns a network, for scripts and tests.
    """
    network = load(source, random, seed, checkpoint, size)
    model = without_fast_paths(network.model.eval().float().requires_grad_(False))
    path = pathlib.Path(path)
    if not path.parent.is_dir():
        raise ExportError(f"there is no folder {path.parent}")
    preprocessing = prepared(network.preprocessing, resize, crop, interpolation, mean, std)
    shape = input_size(network, preprocessing, size)
    tokens = tokens or network.tokens
    check_hooks(model, images(2, shape, seed=1))
    default = Default(model, images(2, shape, seed=1), tokens)
    if default_layer:
        default.choose(default_layer, readout)
    elif readout:
        default.readout = readout
    record = {
        "format": FORMAT,
        "name": network.name,
        "source": network.source,
        "exported": "",
        "weights": weights_from or network.weights,
        "licence": network.licence if licence is None else licence,
        "citation": network.citation if citation is None else citation,
        "preprocessing": preprocessing,
        "default_layer": default.layer,
        "default_readout": default.readout,
        "tokens": tokens or default.tokens,
        "aliases": other_names(model) or None,
    }
    record = {key: value for key, value in record.items() if value is not None}
    way, reason = write(model, path, record, shape, trace)
    return Exported(model, record, shape, way, reason, default.because)


# ---- the network -----------------------------------------------------------------------------------------------------------


def load(source, random: bool, seed: int, checkpoint, size) -> Network:
    """The network, with pretrained weights unless `random` or a `checkpoint`."""
    if random and checkpoint:
        raise ExportError("--random and --checkpoint exclude each other")
    pretrained = not random and not checkpoint
    # Weights that a checkpoint does not replace would be random ones, so these are seeded too.
    torch.manual_seed(seed)
    if callable(source):
        network = own(source, source.__name__, f"{pathlib.Path(inspect.getsourcefile(source)).name}:{source.__qualname__}")
    else:
        library, _, named = source.partition(":")
        if library in LIBRARIES:
            network = from_library(library, named, pretrained, size)
        elif library.endswith(".py") and named:
            network = own_file(pathlib.Path(library), named)
        else:
            raise ExportError(f"`{source}` names no network: write {', '.join(f'{each}:NAME' for each in LIBRARIES)} or FILE.py:FUNCTION")
    if not pretrained and network.preprocessing_of_others:
        network.preprocessing = network.preprocessing_of_others
    if random:
        network.weights = f"random, seed {seed}"
    if checkpoint:
        network.weights = load_checkpoint(network.model, pathlib.Path(checkpoint))
    return network


def from_library(library: str, named: str, pretrained: bool, size) -> Network:
    try:
        return LIBRARIES[library](named, pretrained, size)
    except ImportError as error:
        raise ExportError(f"{library} is not installed ({error}): pip install {PACKAGES.get(library, library)}") from error
    except (KeyError, OSError, RuntimeError, ValueError) as error:
        raise ExportError(f"{library} cannot make `{named}`: {error}") from error


def from_torchvision(named: str, pretrained: bool, size) -> Network:
    import torchvision

    name, _, tag = named.partition(".")
    all_weights = torchvision.models.get_model_weights(name)
    if tag and tag not in all_weights.__members__:
        raise ExportError(f"torchvision has no weights {tag} for {name}, but {', '.join(all_weights.__members__)}")
    weights = all_weights[tag] if tag else all_weights.DEFAULT
    options = {"image_size": size} if size is not None and name.startswith("vit_") else {}
    if not pretrained and "weights_backbone" in inspect.signature(torchvision.models.get_model_builder(name)).parameters:
        options["weights_backbone"] = None
    model = torchvision.models.get_model(name, weights=weights if pretrained else None, **options)
    network = Network(
        model,
        name,
        library("torchvision", torchvision),
        f"{weights.name}, {weights.url}",
        licence="BSD-3-Clause (torchvision's code; its weights may have terms of their own)",
        citation=f"torchvision, https://github.com/pytorch/vision; {weights.meta.get('recipe', '')}".removesuffix("; "),
        preprocessing=torchvision_preprocessing(weights.transforms()),
        # As `thingsvision extract --weights FILE` has it: that of the first weights.
        preprocessing_of_others=None if tag else torchvision_preprocessing(next(iter(all_weights)).transforms()),
        tokens="cls" if isinstance(model, torchvision.models.VisionTransformer) else None,
    )
    if not isinstance(network.preprocessing, str):
        network.size = (network.preprocessing["crop"],) * 2
    return network


def torchvision_preprocessing(transforms) -> dict | str:
    if type(transforms).__name__ != "ImageClassification":
        return f"torchvision prepares images for it with {type(transforms).__name__}"
    (resize,), (crop,) = transforms.resize_size, transforms.crop_size
    return recipe(resize, transforms.interpolation.value, crop, transforms.mean, transforms.std)


def from_timm(named: str, pretrained: bool, size) -> Network:
    import timm
    from timm.data import resolve_data_config

    options = {}
    if size is not None:
        options = timm.models.resolve_model_input_args(named, {"input_size": (3, size, size)})
        options = {key: value for key, value in options.items() if key == "img_size"}
    model = timm.create_model(named, pretrained=pretrained, scriptable=True, **options)
    given = model.pretrained_cfg
    data = resolve_data_config({} if size is None else {"input_size": (3, size, size)}, model=model)
    paper = [given.get("paper_name"), *listed(given.get("paper_ids")), given.get("origin_url")]
    place = f"https://huggingface.co/{given['hf_hub_id']}" if given.get("hf_hub_id") else given.get("url", "")
    return Network(
        model,
        given.get("architecture") or named.partition(".")[0],
        library("timm", timm),
        ", ".join(filter(None, [given.get("tag"), place])),
        licence=given.get("license") or "",
        citation="; ".join(filter(None, [*paper, "timm, https://github.com/huggingface/pytorch-image-models"])),
        preprocessing=timm_preprocessing(data),
        size=data["input_size"][1:],
        tokens=timm_tokens(model),
    )


def timm_preprocessing(data: dict) -> dict | str:
    """What `timm.data.create_transform` makes of it."""
    channels, height, width = data["input_size"]
    mode = data["crop_mode"]
    resized = [math.floor(side / data["crop_pct"]) for side in (height, width)]
    if channels != 3:
        return f"it takes {channels} channels"
    if height != width:
        return f"it takes pictures of {height} x {width} pixels, cut out of the middle"
    if mode not in ("center", "squash"):
        return f"its images are padded at the border (crop mode {mode})"
    crop = None if mode == "squash" and resized == [height, width] else height
    return recipe(resized[0] if mode == "center" else resized, data["interpolation"], crop, data["mean"], data["std"])


def timm_tokens(model: nn.Module) -> str | None:
    """Which tokens of a timm network are no patches; class token first, as in all its vision transformers."""
    prefix = getattr(model, "num_prefix_tokens", None)
    if prefix is None:
        # Some have no tokens, some a class token in their last layers alone.
        return None
    if getattr(model, "cls_token", None) is not None:
        return "cls" if prefix == 1 else f"cls+{prefix - 1}"
    return str(prefix) if prefix else "none"


def from_open_clip(named: str, pretrained: bool, size) -> Network:
    import open_clip

    if named.startswith(("hf-hub:", "local-dir:")):
        name, tag = named, None
    else:
        name, _, tag = named.partition("/")
    if pretrained and tag == "":
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(name))
        raise ExportError(f"open_clip has no default weights: write open_clip:{name}/TAG (for this network: {tags or 'none'}) or --random")
    known = open_clip.get_pretrained_cfg(name, tag) if tag else {}
    quick = known.get("quick_gelu", False)
    if pretrained and known and not quick and (open_clip.get_model_config(name) or {}).get("quick_gelu", False):
        raise ExportError(f"the weights {tag} were trained with GELU, {name} has QuickGELU: name the network without it")
    clip = open_clip.create_model(
        name,
        pretrained=tag if pretrained else None,
        load_weights=pretrained,
        require_pretrained=pretrained,
        pretrained_text=False,
        # The activation function belongs to the weights.
        force_quick_gelu=quick,
        force_image_size=size,
    )
    model, prepare = clip.visual, clip.visual.preprocess_cfg
    sides = prepare["size"] if isinstance(prepare["size"], (list, tuple)) else (prepare["size"],) * 2
    trunk = getattr(model, "trunk", None)
    hub = known.get("hf_hub", "").rstrip("/")
    place = known.get("url") or (f"https://huggingface.co/{hub}" if hub else "")
    openai = "Radford et al. 2021, Learning transferable visual models from natural language supervision, arXiv:2103.00020; "
    return Network(
        model,
        name.rpartition("/")[2],
        library("open_clip", open_clip),
        ", ".join(filter(None, [tag or name, place])),
        licence="MIT (open_clip's code; the weights may have terms of their own)",
        citation=(openai if tag == "openai" else "") + "Ilharco et al. 2021, OpenCLIP, https://doi.org/10.5281/zenodo.5143773",
        preprocessing=open_clip_preprocessing(prepare, sides),
        size=tuple(sides),
        tokens=timm_tokens(trunk) if trunk is not None else "cls" if hasattr(model, "class_embedding") else None,
    )


def open_clip_preprocessing(prepare: dict, sides) -> dict | str:
    """What `open_clip.transform.image_transform_v2` makes of it."""
    height, width = sides
    mode, interpolation = prepare["resize_mode"], prepare["interpolation"]
    interpolation = "bicubic" if interpolation == "random" else interpolation
    if mode == "squash":
        return recipe([height, width], interpolation, None, prepare["mean"], prepare["std"])
    if mode != "shortest":
        return f"its images are padded at the border (resize mode {mode})"
    if height != width:
        return f"it takes pictures of {height} x {width} pixels, cut out of the middle"
    return recipe(height, interpolation, height, prepare["mean"], prepare["std"])


def from_transformers(named: str, pretrained: bool, size) -> Network:
    import transformers

    if size is not None:
        raise ExportError("--size is not for transformers: their configuration says it")
    transformers.logging.set_verbosity_error()
    config = transformers.AutoConfig.from_pretrained(named)
    # Of networks of two towers that of images, else the class whose weights they are.
    towers = {"clip": "CLIPVisionModelWithProjection", "siglip": "SiglipVisionModel"}
    maker = getattr(transformers, towers.get(config.model_type) or next(iter(config.architectures or []), "AutoModel"))
    if pretrained:
        model, said = maker.from_pretrained(named, output_loading_info=True)
        if said["missing_keys"]:
            raise ExportError(f"`{named}` has no weights for {', '.join(sorted(said['missing_keys']))}")
    else:
        make = maker.from_config if maker is transformers.AutoModel else maker._from_config
        model = make(config.vision_config if config.model_type in towers else config)
    if model.main_input_name != "pixel_values":
        raise ExportError(f"`{named}` does not begin with images, but with {model.main_input_name}")
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(named)
        preprocessing = transformers_preprocessing(processor)
    except (OSError, ValueError):
        preprocessing = None
    network = Network(
        model,
        pathlib.PurePath(named).name,
        library("transformers", transformers),
        named if pathlib.Path(named).exists() else f"https://huggingface.co/{named}",
        citation="transformers, https://github.com/huggingface/transformers",
        preprocessing=preprocessing,
        tokens=transformers_tokens(model),
    )
    side = getattr(getattr(config, "vision_config", config), "image_size", None)
    if isinstance(preprocessing, dict):
        network.size = input_size(network, preprocessing, None)
    elif side:
        network.size = tuple(side) if isinstance(side, (list, tuple)) else (side, side)
    return network


def transformers_preprocessing(processor) -> dict | str:
    """What an image processor says that it does; it cuts out the middle as torchvision does."""
    said = processor.to_dict()
    flag = lambda name: said.get(f"do_{name}") is not False and said.get(f"do_{name}") is not None
    if not flag("rescale") or not math.isclose(said.get("rescale_factor", 1 / 255), 1 / 255):
        return f"its pixels are multiplied by {said.get('rescale_factor') if flag('rescale') else 1}, and not by 1/255"
    if not flag("resize") or flag("pad") or said.get("do_reduce_labels"):
        return "its processor does not resize, or pads"
    size, crop = said["size"], said.get("crop_size") or {}
    mean, std = (said["image_mean"], said["image_std"]) if flag("normalize") else ([0.0] * 3, [1.0] * 3)
    # Pillow's numbers.
    interpolation = {1: "lanczos", 2: "bilinear", 3: "bicubic"}.get(int(said["resample"]), f"Pillow's {said['resample']}")
    if "crop_pct" in said and said["crop_pct"] is not None:
        # ConvNeXt's: larger networks see the whole picture.
        side = size["shortest_edge"]
        resize, crop = ([side, side], None) if side >= 384 else (int(side / said["crop_pct"]), side)
        return recipe(resize, interpolation, crop, mean, std)
    if "shortest_edge" in size:
        resize = size["shortest_edge"]
    elif "height" in size and "width" in size:
        resize = [size["height"], size["width"]]
    else:
        return f"it resizes to {size}"
    crop = [crop.get("height"), crop.get("width")] if flag("center_crop") else [None, None]
    if crop[0] != crop[1]:
        return f"it takes pictures of {crop[0]} x {crop[1]} pixels, cut out of the middle"
    return recipe(resize, interpolation, crop[0], mean, std)


def transformers_tokens(model: nn.Module) -> str | None:
    """Which tokens are no patches: a class token, and registers after it."""
    of_class = [name for name, _ in model.named_parameters() if name.endswith(("cls_token", "class_embedding"))]
    registers = getattr(model.config, "num_register_tokens", 0) or 0
    if not of_class:
        return None
    return f"cls+{registers}" if registers else "cls"


LIBRARIES = {"torchvision": from_torchvision, "timm": from_timm, "open_clip": from_open_clip, "transformers": from_transformers}
PACKAGES = {"open_clip": "open_clip_torch"}


def own_file(file: pathlib.Path, function: str) -> Network:
    if not file.is_file():
        raise ExportError(f"{file} is no file")
    # The name becomes one in the code of the file.
    name = re.sub(r"\W|^(?=\d)", "_", file.stem, flags=re.ASCII)
    name = f"{name}_" if keyword.iskeyword(name) else name
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    # Scripting looks for the source by the module's name, and the file may import its neighbours.
    sys.modules[name] = module
    sys.path.insert(0, str(file.parent.resolve()))
    spec.loader.exec_module(module)
    if not hasattr(module, function):
        raise ExportError(f"{file} has no function `{function}`")
    return own(getattr(module, function), file.stem, f"{file.name}:{function}")


def own(function, name: str, source: str) -> Network:
    if isinstance(function, nn.Module) or not callable(function):
        raise ExportError(f"{source} is no function that makes a network: write def make_network(): return …")
    needed = [each for each in inspect.signature(function).parameters.values()
              if each.default is each.empty and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    if needed:
        raise ExportError(f"{source} needs the argument `{needed[0].name}`: give a function without arguments, that passes it")
    model = function()
    if not isinstance(model, nn.Module):
        raise ExportError(f"{source} returned {type(model).__name__}, not a torch.nn.Module")
    return Network(model, name, source, f"as made by {source}")


def without_fast_paths(model: nn.Module) -> nn.Module:
    """With transformers that call their modules, as they do under hooks, instead of computing all at once."""
    for module in model.modules():
        if isinstance(module, nn.TransformerEncoderLayer):
            module.activation_relu_or_gelu = 0
        elif isinstance(module, nn.TransformerEncoder):
            module.use_nested_tensor = False
    return model


def check_hooks(model: nn.Module, batch: torch.Tensor):
    """Fails if a forward hook of the author's changes what a module gives: a file has the layer without it."""
    changing = set()

    def watched(name: str, hook):
        def watching(*args):
            result = hook(*args)
            if result is not None:
                changing.add(name)
            return result

        return watching

    hooked = [(name, module, module._forward_hooks.copy()) for module, name in of_python(model).items() if module._forward_hooks]
    if not hooked:
        return
    for name, module, own_hooks in hooked:
        module._forward_hooks.update({key: watched(name, hook) for key, hook in own_hooks.items()})
    run(model, batch)
    for _, module, own_hooks in hooked:
        module._forward_hooks.update(own_hooks)
    if changing:
        raise ExportError(f"a forward hook changes what `{min(changing)}` gives, and the file would have the layer without it: "
                          "do in its forward what the hook does")


def load_checkpoint(model: nn.Module, file: pathlib.Path) -> str:
    """Loads a state dict, all of it and nothing else, wherever it lies in the file; says which file it was."""
    found = dict(tensors_in(stored(file)))
    if not found:
        raise ExportError(f"{file} holds no tensors, and no state dict, as torch.save(model.state_dict(), FILE) writes it")
    wanted = model.state_dict()
    fits = {begin: misfit(wanted, below(found, begin)) for begin in beginnings(found, wanted)}
    fitting = [begin for begin, (faults, _) in fits.items() if not faults]
    if not fitting:
        _, said = min(fits.values())
        raise ExportError(f"{file} does not fit the network: of {plural(len(wanted), 'tensor')} {said}")
    # Beside the state dict there may be one of a moving average, or of a teacher.
    usual = [begin for begin in fitting if re.fullmatch(r"((state_dict|model|model_state_dict)\.)?(module\.)?", begin)]
    if len(usual or fitting) > 1:
        raise ExportError(f"{file} holds several state dicts that fit, below {' and '.join(sorted(usual or fitting))}: store the one that is meant")
    begin = (usual or fitting)[0]
    model.load_state_dict(wanted | {key: tensor for key, tensor in below(found, begin).items() if key in wanted}, strict=True)
    return f"checkpoint {file.name} (sha256 {hashlib.sha256(file.read_bytes()).hexdigest()})"


def stored(file: pathlib.Path):
    """What a file of weights holds: of torch.save, of TorchScript, or safetensors."""
    try:
        with file.open("rb") as opened:
            is_safetensors = opened.read(9)[8:] == b"{"
        if is_safetensors:
            import safetensors.torch

            return safetensors.torch.load_file(file)
        with quiet():
            return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ExportError(f"{file} cannot be read: {error.strerror}") from error
    except ImportError as error:
        raise ExportError(f"safetensors is not installed ({error}): pip install safetensors") from error
    except (pickle.UnpicklingError, EOFError, RuntimeError, ValueError) as error:
        try:
            with quiet():
                return torch.jit.load(str(file), map_location="cpu").state_dict()
        except RuntimeError:
            raise ExportError(f"{file} is no state dict, as torch.save(model.state_dict(), FILE) writes it, or damaged") from error
    except Exception as error:  # safetensors has errors of its own, and unpickling any
        raise ExportError(f"{file} holds no weights, or is damaged") from error


def tensors_in(value, at=""):
    """All tensors in dictionaries of dictionaries, with their names, joined by dots."""
    if isinstance(value, torch.Tensor):
        yield at, value
    elif isinstance(value, collections.abc.Mapping):
        for key, inner in value.items():
            yield from tensors_in(inner, f"{at}.{key}" if at else str(key))


def beginnings(found: dict, wanted: dict) -> set[str]:
    """What may stand before the network's own keys in a file."""
    return {""} | {name.removesuffix(key) for key in list(wanted)[:1] + list(wanted)[-1:] for name in found if name.endswith(f".{key}")}


def below(found: dict, begin: str) -> dict:
    return {name.removeprefix(begin): tensor for name, tensor in found.items() if name.startswith(begin)}


def misfit(wanted: dict, given: dict) -> tuple[int, str]:
    """How many tensors do not fit, and which, of each kind the first. Counters of batches may be absent."""
    kinds = {
        "missing": [key for key in wanted if key not in given and not key.endswith("num_batches_tracked")],
        "unexpected": [key for key in given if key not in wanted],
        "of another shape": [key for key in wanted if key in given and wanted[key].shape != given[key].shape],
    }
    said = ", ".join(f"{len(keys)} {kind} ({keys[0]}{', …' if len(keys) > 1 else ''})" for kind, keys in kinds.items() if keys)
    return sum(map(len, kinds.values())), said


def library(name: str, module) -> str:
    return f"{name} {plain_version(module.__version__)}"


def plain_version(version: str) -> str:
    return version.partition("+")[0]


def listed(value) -> list:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


# ---- how images are prepared -----------------------------------------------------------------------------------------------


def recipe(resize, interpolation: str, crop: int | None, mean, std) -> dict | str:
    if interpolation not in INTERPOLATIONS:
        return f"its images are resized with `{interpolation}`"
    crop = {} if crop is None else {"crop": crop}
    return {"resize": resize, "interpolation": interpolation, **crop, "mean": list(mean), "std": list(std)}


def prepared(known: dict | str | None, resize, crop, interpolation, mean, std) -> dict | None:
    """The library's preprocessing with the flags in place of its parts."""
    given = {"resize": resize, "interpolation": interpolation, "crop": crop, "mean": mean, "std": std}
    given = {key: value for key, value in given.items() if value is not None}
    enough = {"resize", "mean", "std"} <= given.keys()
    if isinstance(known, str) and not enough:
        raise ExportError(f"thingsvision cannot prepare images as this network has them: {known}. "
                          "Say what to do instead with --resize, --mean, --std (and --crop, --interpolation)")
    if known is None and given and not enough:
        raise ExportError("give --resize, --mean and --std together (and --crop, --interpolation), or none of them")
    if isinstance(known, dict) or given:
        known = known if isinstance(known, dict) else {"interpolation": "bilinear"}
        if not all((known | given)["std"]):
            raise ExportError("--std is what pixels are divided by, and cannot be 0")
        order = ("resize", "interpolation", "crop", "mean", "std")
        both = known | given
        return {key: both[key] for key in order if key in both and both[key] != "none"}
    return None


def input_size(network: Network, preprocessing: dict | None, size) -> tuple[int, int]:
    """Height and width of what the network is shown."""
    shown = None
    if preprocessing:
        crop, resize = preprocessing.get("crop"), preprocessing["resize"]
        shown = (crop, crop) if crop else tuple(resize) if isinstance(resize, list) else None
    if size is not None and shown not in (None, (size, size)):
        raise ExportError(f"--size {size}, but images are prepared to {shown[0]} x {shown[1]} pixels: give --resize and --crop too")
    return shown or ((size, size) if size else tuple(network.size))


# ---- the default layer -----------------------------------------------------------------------------------------------------


class Default:
    """The layer whose readout is what the classifier gets; found by running the network, not by names."""

    def __init__(self, model: nn.Module, batch: torch.Tensor, tokens: str | None):
        # What thingsvision calls the output of the whole network.
        self.output = "network_output" if "output" in dict(model.named_children()) else "output"
        self.layer, self.readout, self.tokens = self.output, "none", None
        self.names = of_python(model)
        self.called = set()
        classifier, wanted = self.classifier(model, batch)
        if classifier is None:
            self.because = "the network has no classifier"
            return
        found = self.layers_giving(model, batch, wanted, tokens)
        if not found:
            self.because = f"what the classifier {classifier} gets is not the output of any layer"
            return
        self.layer, self.readout = found
        self.because = f"what the classifier {classifier} gets"
        if tokens is None and self.readout in ASSUMED:
            self.tokens = ASSUMED[self.readout]
            self.because += f"; tokens are therefore taken to be {self.tokens} in all layers, --tokens says otherwise"

    def choose(self, layer: str, readout: str | None):
        if layer != self.output and layer not in self.called:
            raise ExportError(f"`{layer}` is not a layer that the network calls; the last are {', '.join(sorted(self.called)[-5:])}")
        self.layer, self.readout, self.because = layer, readout or "none", "as asked"

    def classifier(self, model: nn.Module, batch: torch.Tensor):
        """The name of the last Linear, and what it gets."""
        told = model.get_classifier() if hasattr(model, "get_classifier") else None
        told = told[0] if isinstance(told, tuple) else told
        calls = []

        def hook(module, args, output):
            self.called.add(self.names[module])
            if args and (module is told or isinstance(module, nn.Linear)):
                calls.append((module, args[0].clone(), output))

        with hooks(self.names, hook), torch.no_grad():
            output = first(run(model, batch))
        for module, wanted, result in reversed(calls):
            if module is told and not isinstance(module, nn.Identity) or told is None and same(first(result), output):
                return self.names[module], wanted
        return None, None

    def layers_giving(self, model: nn.Module, batch: torch.Tensor, wanted: torch.Tensor, tokens: str | None):
        """The layer and readout that give `wanted`: the innermost and latest that does more than pass on its input."""
        begun, found, order = [], {}, 0

        def before(module, args):
            nonlocal order
            order += 1
            begun.append((order, version_of(args[0]) if args else None))

        def after(module, args, output):
            place, version = begun.pop()
            # Of several calls the last counts.
            found.pop(self.names[module], None)
            readout = readout_giving(output, wanted, tokens) if isinstance(output, torch.Tensor) else None
            if readout:
                found[self.names[module]] = (not passed_on(args, output, version), place, readout)

        with hooks(self.names, after, before), torch.no_grad():
            model(batch)
        name = max(found, key=found.get, default=None)
        return name and (name, found[name][2])


def passed_on(args, output: torch.Tensor, version) -> bool:
    """Whether the output is the input, unchanged (dropout, an identity)."""
    x = args[0] if args else None
    return (isinstance(x, torch.Tensor) and x.data_ptr() == output.data_ptr() and x.shape == output.shape
            and version_of(x) == version)


def version_of(x) -> int | None:
    """How often a tensor was changed, if PyTorch counts it."""
    return x._version if isinstance(x, torch.Tensor) and not x.is_inference() else None


def readout_giving(output: torch.Tensor, wanted: torch.Tensor, tokens: str | None) -> str | None:
    """The readout that makes `wanted` of a layer's output."""
    if not output.is_floating_point():
        return None
    if same(output, wanted):
        return "none"
    if output.ndim > 2 and same(output.flatten(1), wanted):
        return "flatten"
    if output.ndim == 3:
        if (tokens or "cls").startswith("cls") and same(output[:, 0], wanted):
            return "cls"
        if same(output[:, number_before_patches(tokens or "none") :].mean(1), wanted):
            return "patches"
    if output.ndim == 4:
        pooled = nn.functional.adaptive_avg_pool2d(output, 1).flatten(1)
        if same(output.mean((2, 3)), wanted) or same(pooled, wanted):
            return "mean"
    return None


def number_before_patches(tokens: str) -> int:
    numbers = {"none": 0, "cls": 1}
    return sum(numbers[part] if part in numbers else int(part) for part in tokens.split("+"))


def same(a, b) -> bool:
    return isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) and a.shape == b.shape and torch.equal(a, b)


def of_python(model: nn.Module) -> dict[nn.Module, str]:
    """The modules in a network, with their names, but for those that are TorchScript already."""
    return {module: name for name, module in model.named_modules() if name and not isinstance(module, torch.jit.ScriptModule)}


@contextlib.contextmanager
def hooks(names: dict, after, before=None):
    with_all = lambda module, args, kwargs, output: after(module, (*args, *kwargs.values()), output)
    handles = [module.register_forward_hook(with_all, with_kwargs=True) for module in names]
    handles += [module.register_forward_pre_hook(before) for module in names if before]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


# ---- the file --------------------------------------------------------------------------------------------------------------


def write(model: nn.Module, path: pathlib.Path, record: dict, shape: tuple[int, int], trace: bool) -> tuple[str, str]:
    """Scripts the network, or traces it where that fails; says which, and why it was not scripted."""
    reason = "as asked"
    if not trace:
        try:
            write_as("scripted", script(model), model, path, record, shape)
            return "scripted", ""
        except Exception as error:  # TorchScript has many ways to fail
            reason = f"scripting fails: {summary(error)}"
    try:
        module, elements = traced(model, images(2, shape, seed=1))
        if elements:
            record["elements"] = elements
        write_as("traced", module, model, path, record, shape)
    except ExportError as error:
        raise ExportError(f"{error} ({reason})") from error
    return "traced", reason


def write_as(way: str, module, model: nn.Module, path: pathlib.Path, record: dict, shape: tuple[int, int]):
    """Writes it so that the name never stands for a file that was not compared."""
    record["exported"] = f"{way} by torch {plain_version(torch.__version__)}"
    # The name without its ending becomes the name of the folder in the archive.
    unfinished = path.with_suffix(".unfinished")
    try:
        with quiet(), refused(f"the {way} network cannot be stored"):
            torch.jit.save(module, str(unfinished), _extra_files={RECORD: json.dumps(record, indent=1, ensure_ascii=False)})
        check(unfinished, way, model, shape)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def refused(what: str):
    """What TorchScript refuses, as an error for people."""
    try:
        yield
    except (RuntimeError, OSError) as error:
        raise ExportError(f"{what}: {summary(error)}") from error


def script(model: nn.Module):
    with quiet():
        return torch.jit.script(model)


def traced(model: nn.Module, batch: torch.Tensor):
    """The trace, and the places of the tensors that its modules give, where the trace numbers them in another way."""
    with quiet(), torch.no_grad():
        with OutputsKept(model) as kept, refused("the network cannot be traced"):
            # Not strict: outputs may be lists and dictionaries.
            module = torch.jit.trace(model, batch, check_trace=False, strict=False)
    return module, kept.elements(module)


class OutputsKept(contextlib.ExitStack):
    """While it lasts, a trace keeps the outputs of all modules, and in them all tensors in PyTorch's order.

    A trace keeps of a module what the module computes and others use, in the order in which they use it. So each tensor that
    a module gives is made one of its own, and a hook, which runs outside of the module, uses all of them at once. Numbers
    that are used outside (heights, widths) follow.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        names = of_python(model)
        self.first_names = other_names(model)
        # By module, the places of tensors in the output of each of its calls.
        self.places = collections.defaultdict(list)
        for kind in {type(module) for module in names}:
            self.callback(restore, kind, kind.__dict__.get("forward"))
            kind.forward = giving_its_own(kind.forward)

        def use(module, args, output):
            found = named_tensors(output)
            self.places[names[module]].append([place for place, _ in found])
            for _, tensor in found:
                tensor.detach()

        self.enter_context(hooks(names, use))

    def elements(self, module) -> dict[str, list[list[str]]]:
        """The places of the tensors that the modules of a trace give first, by call, unless those are what the trace says."""
        counts = collections.defaultdict(set)
        for name, part in module.named_modules():
            methods = [method for method in part._c._method_names() if method.startswith("forward")]
            counts[self.first_names.get(name, name)] |= {number_of_outputs(part, method) for method in methods}
        elements = {}
        for name, calls in self.places.items():
            most = max(counts[name], default=0)
            said = [""] if most == 1 else [str(i) for i in range(most)]
            # Tensors that are lost in a structure of another kind leave nobody knows which places.
            if most >= max(map(len, calls)) and (len(counts[name]) > 1 or any(places != said for places in calls)):
                elements[name] = calls[:1] if all(places == calls[0] for places in calls) else calls
        return elements


def other_names(model: nn.Module) -> dict[str, str]:
    """Of modules that have several names, those after the first, with that."""
    first = {module: name for name, module in model.named_modules()}
    return {name: first[module] for name, module in model.named_modules(remove_duplicate=False) if name != first[module]}


def number_of_outputs(part, method: str) -> int:
    (output,) = part._c._get_method(method).graph.outputs()
    return len(output.type().elements()) if isinstance(output.type(), torch._C.TupleType) else int(output.type().kind() != "NoneType")


def giving_its_own(forward):
    """`forward`, whose tensors are no others than its own."""

    def own(output):
        if isinstance(output, torch.Tensor):
            return output.detach()
        if isinstance(output, dict) and dataclasses.is_dataclass(output):
            # Those of transformers, which cannot be updated.
            return type(output)(**{key: own(value) for key, value in output.items()})
        if isinstance(output, dict):
            copied = copy.copy(output)
            copied.update({key: own(value) for key, value in output.items()})
            return copied
        if hasattr(output, "_fields"):
            return type(output)(*map(own, output))
        return type(output)(map(own, output)) if type(output) in (tuple, list) else output

    return functools.wraps(forward)(lambda *args, **kwargs: own(forward(*args, **kwargs)))


def restore(kind: type, forward):
    if forward is None:
        del kind.forward
    else:
        kind.forward = forward


def check(path: pathlib.Path, way: str, model: nn.Module, shape: tuple[int, int]):
    """Compares the file with the network on other images, and other numbers of them."""
    with quiet(), refused(f"the {way} file cannot be loaded"):
        loaded = torch.jit.load(str(path), map_location="cpu").eval()
    for count in (3, 1):
        check_batch(loaded, way, model, images(count, shape, seed=2))


def check_batch(loaded, way: str, model: nn.Module, batch: torch.Tensor):
    count = plural(len(batch), "image")
    with quiet(), torch.no_grad():
        wanted = leaves(run(model, batch))
        try:
            got = leaves(loaded(batch))
        except RuntimeError as error:
            if way == "traced":
                raise ExportError(f"the traced file fails with {count}, it was traced with 2: the network's code makes a constant of "
                                  f"the number of images; use x.shape[0] only in reshapes, or make it scriptable: {summary(error)}") from error
            raise ExportError(f"the file fails with {count}: {summary(error)}") from error
    # Scripted GoogLeNet and Inception give their auxiliary outputs too, which are None.
    if len(wanted) != len(got) or not wanted:
        raise ExportError(f"the {way} file gives {len(got)} outputs, the network {len(wanted)}")
    for one, other in zip(wanted, got):
        difference = relative_difference(one, other)
        if not difference <= TOLERANCE:
            raise ExportError(f"the {way} file gives other values than the network, by {difference:.2g} of the largest: "
                              "its forward depends on more than the images (a constant of the trace, chance)")


def run(model: nn.Module, batch: torch.Tensor):
    try:
        return model(batch)
    except Exception as error:  # whatever its code raises
        number, _, height, width = batch.shape
        raise ExportError(f"the network fails with {plural(number, 'image')} of {height} x {width} pixels (--size N says another size): "
                          f"{summary(error)}") from error


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count != 1 else ''}"


def named_tensors(output, at="") -> list[tuple[str, torch.Tensor]]:
    """The tensors of an output in order, each with its place in it: "" if the output is a tensor, else as 1:0 or a key."""
    if isinstance(output, torch.Tensor):
        return [(at, output)]
    if isinstance(output, dict):
        elements = output.items()
    elif isinstance(output, (tuple, list)):
        elements = enumerate(output)
    else:
        return []
    return [found for key, element in elements for found in named_tensors(element, f"{at}:{key}" if at else str(key))]


def leaves(output) -> list[torch.Tensor]:
    return [tensor for _, tensor in named_tensors(output)]


def first(output) -> torch.Tensor | None:
    return next(iter(leaves(output)), None)


def relative_difference(wanted: torch.Tensor, got: torch.Tensor) -> float:
    """The largest difference in units of the largest value; infinite if the shapes differ."""
    if wanted.shape != got.shape:
        return math.inf
    if torch.equal(wanted, got) or wanted.numel() == 0:
        return 0.0
    wanted, got = wanted.double(), got.double()
    return ((wanted - got).abs().max() / wanted.abs().max()).item()


def images(count: int, shape: tuple[int, int], seed: int) -> torch.Tensor:
    """Noise; the seed of the weights stays as it is."""
    return torch.randn(count, 3, *shape, generator=torch.Generator().manual_seed(seed))


@contextlib.contextmanager
def quiet():
    """Without warnings, as that TorchScript is an old format, or of what a trace makes constant: `check` looks at that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def summary(error: Exception) -> str:
    """The line of a long TorchScript message that says what is wrong."""
    text = re.sub(r" at 0x[0-9a-f]+", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        if line.startswith(("RuntimeError:", "ValueError:", "NotSupportedError")):
            return line
    return lines[0].rstrip(":") if lines else type(error).__name__


# ---- the command -----------------------------------------------------------------------------------------------------------


def numbers(text: str) -> list[float]:
    values = [float(value) for value in text.split(",")]
    if len(values) != 3:
        raise argparse.ArgumentTypeError("three numbers, as 0.5,0.5,0.5")
    return values


def sides(text: str) -> int | list[int]:
    values = [int(value) for value in text.replace(",", "x").split("x")]
    if len(values) > 2:
        raise argparse.ArgumentTypeError("the shorter side, 256, or height and width, 224x224")
    return values[0] if len(values) == 1 else values


def side_or_none(text: str) -> int | str:
    return text if text == "none" else int(text)


def arguments() -> argparse.Namespace:
    about, examples = __doc__.split("\n\n", 1)
    parser = argparse.ArgumentParser(description=about, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="torchvision:NAME[.WEIGHTS], timm:NAME[.TAG], open_clip:NAME/TAG, transformers:NAME|FOLDER, or FILE.py:FUNCTION")
    parser.add_argument("file", help="the file to write, for example resnet50.pt")
    weights = parser.add_argument_group("weights (those that the library has for the network, unless …)")
    weights.add_argument("--random", action="store_true", help="as the network is initialised, untrained")
    weights.add_argument("--seed", type=int, default=0, metavar="N", help="torch.manual_seed before (default 0)")
    weights.add_argument("--checkpoint", metavar="FILE", help="a state dict of torch.save, also in a checkpoint, of TorchScript or safetensors; it must have all keys and no others")
    weights.add_argument("--weights-from", metavar="TEXT", help="what to say of where the weights come from")
    shown = parser.add_argument_group("what the network is shown (as its library has it, unless …)")
    shown.add_argument("--resize", type=sides, metavar="N|HxW", help="the shorter side in pixels, or height and width")
    shown.add_argument("--crop", type=side_or_none, metavar="N|none", help="the side of the square cut out of the middle")
    shown.add_argument("--interpolation", choices=INTERPOLATIONS, help="how to resize")
    shown.add_argument("--mean", type=numbers, metavar="R,G,B", help="subtracted after division by 255")
    shown.add_argument("--std", type=numbers, metavar="R,G,B", help="then divided by")
    shown.add_argument("--size", type=int, metavar="N", help="the side of the input, if the network is to have another than usual")
    layers = parser.add_argument_group("layers")
    layers.add_argument("--default-layer", metavar="NAME", help="the one to take if none is named (default: what the classifier gets)")
    layers.add_argument("--readout", choices=READOUTS, help="what to keep of it")
    layers.add_argument("--tokens", type=token_layout, metavar="T", help="which tokens of a transformer are no patches: cls (the first), cls+4 (and 4 "
                        "registers after it), 4 (the first 4, without a class token), none")
    other = parser.add_argument_group("other")
    other.add_argument("--trace", action="store_true", help="trace, also where scripting would do (modules without operations are lost)")
    other.add_argument("--licence", metavar="TEXT", help="the licence of the weights")
    other.add_argument("--citation", metavar="TEXT", help="what to cite")
    return parser.parse_args()


def token_layout(text: str) -> str:
    begin, _, others = text.partition("+")
    if text != "none" and not (begin == "cls" and (others.isdigit() or text == "cls")) and not text.isdigit():
        raise argparse.ArgumentTypeError("cls, cls+4, 4 or none")
    return text


def main():
    options = vars(arguments())
    source, path = options.pop("source"), pathlib.Path(options.pop("file"))
    made = export(source, path, **options)
    modules = sum(1 for _ in made.model.modules()) - 1
    preprocessing = made.record.get("preprocessing")
    print(f"{made.way}{f' ({made.reason})' if made.reason else ''}; compared with the network on other images")
    print(f"weights        {made.record['weights']}")
    print(f"input          {made.size[0]} x {made.size[1]} pixels; {describe(preprocessing)}")
    print(f"modules        {modules}")
    print(f"default layer  {made.record['default_layer']}, readout {made.record['default_readout']}: {made.default_because}")
    if "tokens" in made.record:
        print(f"tokens         {made.record['tokens']}")
    print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    # What is not known is to be filled in: as it stands, the command takes ImageNet's.
    asked = "" if preprocessing else f" --preprocess imagenet --squash --crop {made.size[0]}"
    print(f"next: thingsvision extract --model {shlex.quote(str(path))} --images DIR{asked}")


def describe(preprocessing: dict | None) -> str:
    if not preprocessing:
        return "how images are prepared is not known: give --resize, --mean, --std here or to thingsvision; below stand ImageNet's"
    resize = preprocessing["resize"]
    resize = f"to {resize[0]} x {resize[1]}" if isinstance(resize, list) else resize
    text = lambda values: " ".join(f"{value:.4g}" for value in values)
    return (f"resize {resize} ({preprocessing['interpolation']}), crop {preprocessing.get('crop', 'none')}, "
            f"mean {text(preprocessing['mean'])}, std {text(preprocessing['std'])}")


def same_bytes_each_time():
    """Starts anew with a fixed order of sets, in which TorchScript writes a module's constants."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | {"PYTHONHASHSEED": "0"})


if __name__ == "__main__":
    same_bytes_each_time()
    try:
        main()
    except ExportError as error:
        sys.exit(f"error: {error}")
