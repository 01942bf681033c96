//! Every call of every module of small exported networks, against PyTorch's hooks: `exported/goldens.json`, which
//! `exported/make_fixtures.py` makes.

use crate::golden::vector;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};
use thingsvision::images::{ImageList, Reading, Selection, Window};
use thingsvision::models::{Card, Model};
use thingsvision::nn::{ModuleId, Plan, Trace};

/// Of a layer's largest value: the same operations, in batches of the same size, but perhaps on a processor of another kind.
const TOLERANCE: f64 = 1e-5;

fn exported(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exported").join(file)
}

/// What the network in `file` is shown of the three images, `[3, 3, 32, 32]`.
fn images(file: &str) -> Tensor {
    let preprocessing = Card::read(&exported(file)).unwrap().preprocessing.unwrap();
    let folder = [exported("images")];
    let reading = Reading::default();
    let (list, dataset, indices) = (None, None, None);
    let images = ImageList::find(&Selection {
        images: &folder,
        list,
        dataset,
        indices,
        reading,
        channels_first: false,
        skip_unreadable: false,
        average_by: None,
    })
    .unwrap();
    let mut pixels = vec![0.0f32; images.len() * 3 * 32 * 32];
    for (image, pixels) in pixels.chunks_exact_mut(3 * 32 * 32).enumerate() {
        let picture = images.decode(image, &|width, height| Window::whole(width, height)).unwrap();
        preprocessing.apply(&picture, pixels);
    }
    Tensor::from_slice(&pixels).view([images.len() as i64, 3, 32, 32])
}

struct Network {
    model: Model,
    trace: Trace,
}

impl Network {
    fn open(file: &str) -> Network {
        let model = Model::exported(&exported(file), Device::Cpu, Kind::Float).unwrap();
        let trace = model.trace([32, 32]).unwrap();
        Network { model, trace }
    }

    /// Where the calls of the module `name` begin.
    fn calls(&self, name: &str) -> Vec<usize> {
        let manifest = self.model.manifest();
        let module = (0..manifest.modules.len()).map(ModuleId).find(|&module| manifest.layer_name(module) == name);
        module.map(|module| self.trace.calls_of(module)).unwrap_or_default()
    }

    /// The position of the tensor `element` of a call of the module `name`.
    fn tensor(&self, name: &str, call: usize, element: &str) -> Option<usize> {
        let first = *self.calls(name).get(call)?;
        self.trace.tensors_of(first).find(|&tensor| self.trace.calls[tensor].element == element)
    }

    fn keep(&self, images: &Tensor, calls: &[usize]) -> Vec<Tensor> {
        let mut kept: Vec<Option<Tensor>> = calls.iter().map(|_| None).collect();
        let mut keep = |slot: usize, y: &Tensor| {
            kept[slot] = Some(y.contiguous().copy());
            Ok(())
        };
        self.model.run(&Plan::new(&self.trace, calls), images, &mut keep).unwrap();
        kept.into_iter().flatten().collect()
    }
}

fn assert_close(name: &str, y: &Tensor, golden: &Value) {
    let expected = Tensor::from_slice(&vector(&golden["values"]));
    let shape: Vec<i64> = golden["shape"].as_array().unwrap().iter().map(|size| size.as_i64().unwrap()).collect();
    assert_eq!(y.size(), shape, "{name}");
    let difference = (y.to_kind(Kind::Double).view([-1]) - &expected).abs().max().double_value(&[]);
    let scale = expected.abs().max().double_value(&[]);
    assert!(difference <= TOLERANCE * scale, "{name}: {difference} of {scale}");
}

#[test]
fn every_module_gives_what_pytorch_sees() {
    let goldens: Value = serde_json::from_str(&std::fs::read_to_string(exported("goldens.json")).unwrap()).unwrap();
    for (file, golden) in goldens.as_object().unwrap() {
        let (network, images) = (Network::open(file), images(file));
        let usable: Vec<usize> =
            (1..network.trace.calls.len()).filter(|&call| network.trace.calls[call].unusable.is_none()).collect();
        let all = network.keep(&images, &usable);
        let mut seen = 0;
        for call in golden["calls"].as_array().unwrap() {
            let [layer, element] = ["layer", "element"].map(|key| call[key].as_str().unwrap());
            let number = call["call"].as_u64().unwrap() as usize;
            let name = format!("{file}: {layer}@{number}:{element}");
            let Some(at) = network.tensor(layer, number, element) else { panic!("{name} is not called") };
            if call["values"].is_null() {
                assert!(network.trace.calls[at].unusable.is_some(), "{name}");
                continue;
            }
            // All at once; and alone, which stops there.
            assert_close(&name, &all[usable.iter().position(|&call| call == at).unwrap()], call);
            assert_close(&name, &network.keep(&images, &[at])[0], call);
            seen += 1;
        }
        assert_eq!(seen, usable.len(), "{file}: calls that PyTorch does not see");
        for name in golden["never_called"].as_array().unwrap() {
            let name = name.as_str().unwrap();
            assert!(network.model.manifest().modules.iter().any(|module| module.name == name), "{file}: {name}");
            assert_eq!(network.calls(name), [0; 0], "{file}: {name}");
        }
    }
}

#[test]
fn workers_run_side_by_side_and_see_their_own_images_only() {
    let (network, images) = (Network::open("tokens.pt"), images("tokens.pt"));
    let calls: Vec<usize> = (1..network.trace.calls.len()).collect();
    let expected = network.keep(&images, &calls);
    std::thread::scope(|scope| {
        for worker in 0..4i64 {
            let (network, calls, expected) = (&network, &calls, expected.iter().map(Tensor::shallow_clone).collect::<Vec<_>>());
            let order = Tensor::from_slice(&[worker % 3, (worker + 1) % 3, (worker + 2) % 3]);
            let mine = images.index_select(0, &order);
            scope.spawn(move || {
                for _ in 0..50 {
                    for (y, expected) in network.keep(&mine, calls).iter().zip(&expected) {
                        assert!(y.equal(&expected.index_select(0, &order)));
                    }
                }
            });
        }
    });
}
