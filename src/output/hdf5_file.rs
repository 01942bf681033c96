//! The bytes of an HDF5 file around numbers that are written later, and whose place is known beforehand, as the "HDF5 File Format
//! Specification" lays them out: superblock 0, object headers and groups of version 1, which every reader knows. (The crate that reads
//! HDF5 here writes arrays that are in memory.)

use super::Dtype;
use anyhow::{Result, ensure};

/// Of superblock 0.
const SUPERBLOCK: usize = 96;
/// No address.
const NOWHERE: u64 = u64::MAX;
/// Nodes of members that a group may have: twice the K of its tree.
const NODES: usize = 32;
/// Bytes of an entry for a member.
const ENTRY: usize = 40;
/// What numbers begin at a multiple of.
const ALIGNED: u64 = 64;

/// The type of the elements of a dataset.
pub(super) enum Element {
    Float(Dtype),
    /// UTF-8 of at most so many bytes, filled up with zeros.
    Text(usize),
    /// Letters without an own encoding.
    Ascii(usize),
    Unsigned16,
    Signed32,
    /// To an object by its address.
    Reference,
}

impl Element {
    fn size(&self) -> usize {
        match self {
            Element::Float(dtype) => dtype.bytes(),
            Element::Text(size) | Element::Ascii(size) => *size,
            Element::Unsigned16 => 2,
            Element::Signed32 => 4,
            Element::Reference => 8,
        }
    }

    /// The message of a datatype: class and version, what is special, size, properties.
    fn message(&self) -> Vec<u8> {
        let whole = |bits: u8| [0, 0, bits, 0].to_vec();
        let (class, special, properties) = match self {
            // Where the sign is; then offset and precision in bits, place and size of exponent and mantissa, and the bias.
            Element::Float(Dtype::F32) => (1, [0x20, 31, 0], vec![0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0]),
            Element::Float(Dtype::F16) => (1, [0x20, 15, 0], vec![0, 0, 16, 0, 10, 5, 0, 10, 15, 0, 0, 0]),
            Element::Text(_) => (3, [0x11, 0, 0], Vec::new()),
            Element::Ascii(_) => (3, [0x01, 0, 0], Vec::new()),
            Element::Unsigned16 => (0, [0, 0, 0], whole(16)),
            Element::Signed32 => (0, [0x08, 0, 0], whole(32)),
            Element::Reference => (7, [0, 0, 0], Vec::new()),
        };
        [&[0x10 | class][..], &special, &(self.size() as u32).to_le_bytes(), &properties].concat()
    }
}

/// The numbers of a dataset.
pub(super) enum Data {
    Here(Vec<u8>),
    /// Room for so many bytes.
    Later(u64),
}

/// A group, by where its parts lie.
pub(super) struct Group {
    pub(super) address: u64,
    tree: u64,
    heap: u64,
}

/// A file that is being put together.
pub(super) struct Builder {
    /// What stands before it.
    before: Vec<u8>,
    bytes: Vec<u8>,
    /// Half of the members that a node has room for.
    half: usize,
    /// Where the addresses of numbers that come later are to stand, and how many bytes these take.
    later: Vec<(usize, u64)>,
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn dataspace(sizes: &[u64]) -> Vec<u8> {
    [&[1, sizes.len() as u8, 0, 0, 0, 0, 0, 0][..], &words(sizes)].concat()
}

/// The message of an attribute with one value.
pub(super) fn attribute(name: &str, element: &Element, value: &[u8]) -> Vec<u8> {
    let (name, datatype, dataspace) = (format!("{name}\0").into_bytes(), element.message(), dataspace(&[]));
    let sizes = [name.len(), datatype.len(), dataspace.len()].map(|size| (size as u16).to_le_bytes()).concat();
    [vec![1, 0], sizes, padded(name), padded(datatype), padded(dataspace), value.to_vec()].concat()
}

impl Builder {
    /// Of a file whose largest group has this many members, with `before` in front of it.
    pub(super) fn new(members: usize, before: Vec<u8>) -> Result<Builder> {
        let half = members.div_ceil(2 * NODES).max(4);
        ensure!(half <= usize::from(u16::MAX) / 2, "an HDF5 file has no place for {members} parts");
        Ok(Builder { before, bytes: vec![0; SUPERBLOCK], half, later: Vec::new() })
    }

    /// Adds `bytes`, and says where they are.
    fn add(&mut self, bytes: Vec<u8>) -> u64 {
        let address = self.bytes.len() as u64;
        self.bytes.extend(padded(bytes));
        address
    }

    /// An object header with messages of these kinds.
    fn object(&mut self, messages: Vec<(u16, Vec<u8>)>) -> u64 {
        let mut body = Vec::new();
        for (kind, message) in &messages {
            let message = padded(message.clone());
            body.extend([&kind.to_le_bytes()[..], &(message.len() as u16).to_le_bytes(), &[0; 4], &message].concat());
        }
        let prefix = [&[1, 0][..], &(messages.len() as u16).to_le_bytes(), &1u32.to_le_bytes()].concat();
        self.add([prefix, (body.len() as u32).to_le_bytes().to_vec(), vec![0; 4], body].concat())
    }

    /// An array; says where it is described.
    pub(super) fn dataset(&mut self, sizes: &[u64], element: &Element, data: Data, attributes: Vec<Vec<u8>>) -> u64 {
        let (place, size) = match data {
            Data::Here(bytes) => {
                let size = bytes.len() as u64;
                (self.add(bytes), size)
            }
            // Behind the beginnings of the object header and of its first message, and two bytes of that.
            Data::Later(size) => {
                self.later.push((self.bytes.len() + 16 + 8 + 2, size));
                (NOWHERE, size)
            }
        };
        let layout = [vec![3, 1], words(&[place, size])].concat();
        // Room is there from the beginning, and is not filled.
        let fill = vec![2, 1, 1, 0];
        let messages = [(0x08, layout), (0x01, dataspace(sizes)), (0x03, element.message()), (0x05, fill)];
        self.object(messages.into_iter().chain(attributes.into_iter().map(|attribute| (0x0c, attribute))).collect())
    }

    /// A group of the objects with these names and addresses.
    pub(super) fn group(&mut self, members: &[(&str, u64)]) -> Group {
        let mut members = members.to_vec();
        members.sort_by_key(|(name, _)| name.as_bytes());
        // The first is the empty name.
        let mut names = vec![0; 8];
        let mut places = Vec::new();
        for (name, _) in &members {
            places.push(names.len() as u64);
            names.extend(padded([name.as_bytes(), b"\0"].concat()));
        }
        let length = names.len() as u64;
        let names = self.add(names);
        // No part of it is free.
        let heap = self.add([b"HEAP\0\0\0\0".to_vec(), words(&[length, 1, names])].concat());
        let entries: Vec<(u64, u64)> = places.into_iter().zip(members.iter().map(|(_, address)| *address)).collect();
        let mut tree = words(&[0]);
        let mut nodes = 0u16;
        for part in entries.chunks(2 * self.half) {
            let mut node = [&b"SNOD\x01\0"[..], &(part.len() as u16).to_le_bytes()].concat();
            node.extend(part.iter().flat_map(|(name, address)| words(&[*name, *address, 0, 0, 0])));
            node.resize(8 + 2 * self.half * ENTRY, 0);
            let node = self.add(node);
            tree.extend(words(&[node, part.last().map_or(0, |(name, _)| *name)]));
            nodes += 1;
        }
        tree.resize((2 * NODES + 1) * 8, 0);
        let head = [&b"TREE\0\0"[..], &nodes.to_le_bytes()].concat();
        let tree = self.add([head, words(&[NOWHERE, NOWHERE]), tree].concat());
        let address = self.object(vec![(0x11, words(&[tree, heap]))]);
        Group { address, tree, heap }
    }

    /// All bytes before the numbers that come later, where each of these begin in the file, and where the last end.
    pub(super) fn finish(mut self, root: &Group) -> (Vec<u8>, Vec<u64>, u64) {
        let base = self.before.len() as u64;
        let mut end = base + self.bytes.len() as u64;
        let mut starts = Vec::new();
        for (place, size) in &self.later {
            let start = end.next_multiple_of(ALIGNED);
            self.bytes[*place..place + 8].copy_from_slice(&(start - base).to_le_bytes());
            starts.push(start);
            end = start + size;
        }
        let halves = [self.half as u16, NODES as u16 / 2].map(u16::to_le_bytes).concat();
        let superblock = [
            b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0".to_vec(),
            halves,
            vec![0; 4],
            words(&[base, NOWHERE, end, NOWHERE]),
            // The root: no name, its header, that its tree and heap are told here.
            words(&[0, root.address, 1, root.tree, root.heap]),
        ];
        self.bytes[..SUPERBLOCK].copy_from_slice(&superblock.concat());
        ([self.before, self.bytes].concat(), starts, end)
    }
}
