"""The same job in the Python toolbox THINGSvision: python benches/toolbox.py MODEL MODULE FOLDER OUT_FOLDER

Needs `pip install thingsvision==2.7.3` in an environment of its own (6.6 GB; it wants torch 2.0.1).
"""

import sys

from thingsvision import get_extractor
from thingsvision.utils.data import DataLoader, ImageDataset
from thingsvision.utils.storing import save_features

name, module, folder, out = sys.argv[1:]
extractor = get_extractor(model_name=name, source="torchvision", device="cpu", pretrained=False)
images = ImageDataset(
    root=folder, out_path=out, backend=extractor.get_backend(), transforms=extractor.get_transformations()
)
batches = DataLoader(dataset=images, batch_size=32, backend=extractor.get_backend())
features = extractor.extract_features(batches=batches, module_name=module, flatten_acts=True, output_type="ndarray")
save_features(features, out_path=out, file_format="npy")
