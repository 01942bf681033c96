//! Files of `torch.save` in both of its formats, and of safetensors.

use crate::{fixtures, table};
use thingsvision::weights::Checkpoint;

#[test]
fn tensors_are_read_as_pytorch_wrote_them() {
    for file in ["zip.pth", "legacy.pth", "plain.safetensors"] {
        let checkpoint = Checkpoint::open(&fixtures().join("checkpoints").join(file)).unwrap();
        let expected = table("checkpoints.tsv");
        assert_eq!(checkpoint.tensors().unwrap().len(), expected.len(), "{file}");
        for row in expected {
            let [key, shape, sum] = &row[..] else { panic!("{row:?}") };
            let tensor = checkpoint.read(key).unwrap();
            assert_eq!(tensor.size().iter().map(i64::to_string).collect::<Vec<_>>().join("x"), *shape, "{file} {key}");
            let found = tensor.to_kind(tch::Kind::Double).sum(None).double_value(&[]);
            assert!((found - sum.parse::<f64>().unwrap()).abs() < 1e-12, "{file} {key}: {found} not {sum}");
        }
    }
}
