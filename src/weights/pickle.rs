//! The tensors in a pickle of `torch.save`: where their numbers lie and by which keys one comes to them. Nothing is executed, and nothing
//! built but dictionaries, lists and tuples.
//!
//! Whatever else a pickle makes (an optimiser, a configuration, a `defaultdict`) is an [`Object`] that takes items and attributes and
//! does nothing: tensors are looked for in it as in any dictionary. A pickled `torch.nn.Module` is read as its `state_dict()`.
//! Opcodes are those of Python's `Lib/pickletools.py`, protocols 0 to 5; how tensors are stored stands in PyTorch's
//! `torch/serialization.py` and `torch/_utils.py`.

use anyhow::{Context, Result, bail, ensure};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use tch::Kind;

/// More than any training leaves behind: a file may claim anything.
const MOST_PARTS: usize = 4_000_000;
const MOST_STEPS: usize = 20_000_000;
const MOST_TENSORS: usize = 1_000_000;
const LONGEST_NAME: usize = 4096;
/// Of all names together, in bytes.
const MOST_OF_NAMES: usize = 256 << 20;
const DEEPEST: usize = 100;

/// A tensor's numbers in a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The key of the storage.
    pub storage: String,
    /// The type of the numbers, or what it is if that is not read: `of type int8`.
    pub kind: Result<Kind, String>,
    /// Where it begins in the storage, in numbers.
    pub offset: usize,
    /// The size along each axis.
    pub shape: Vec<usize>,
    /// The distance of neighbours along each axis, in numbers.
    pub strides: Vec<usize>,
}

/// A value on the stack. Texts lie in the pickle, all else that has parts in [`Reader::objects`]: so none is copied, and none freed
/// by descending into it.
#[derive(Debug, Clone, Copy)]
enum Value {
    Nothing,
    Int(i64),
    Text(usize, usize),
    /// `torch.nn.modules.linear.Linear`: the text of the module, and that of the name.
    Class([(usize, usize); 2]),
    Object(usize),
    Storage(usize),
    Tensor(usize),
}

impl Value {
    /// Whether it is a tensor, or may have some.
    fn may_lead(self) -> bool {
        matches!(self, Value::Object(_) | Value::Tensor(_))
    }
}

/// A list, tuple, dictionary, or something else with items or attributes.
#[derive(Debug, Default)]
struct Object {
    list: Vec<Value>,
    pairs: Vec<(Value, Value)>,
    attributes: Option<Value>,
}

#[derive(Debug)]
struct Storage {
    key: String,
    /// In bytes; 0 if it is not known.
    item: usize,
    kind: Option<Result<Kind, String>>,
    numbers: usize,
    /// Where the part that is meant begins, in files of PyTorch before 0.4.
    begin: usize,
}

/// What one pickle holds.
pub struct Pickle<'a> {
    reader: Reader<'a>,
    root: Value,
    /// The bytes that it takes.
    pub length: usize,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    objects: Vec<Object>,
    storages: Vec<Storage>,
    tensors: Vec<Stored>,
    /// How many objects and parts of objects there are.
    parts: usize,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle at the beginning of `bytes`.
    pub fn read(bytes: &'a [u8]) -> Result<Pickle<'a>> {
        let mut reader = Reader {
            bytes,
            at: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            objects: Vec::new(),
            storages: Vec::new(),
            tensors: Vec::new(),
            parts: 0,
        };
        while reader.step()? {}
        let root = reader.pop()?;
        Ok(Pickle { length: reader.at, root, reader })
    }

    /// The whole number that the pickle is, if it is one.
    pub fn integer(&self) -> Option<i64> {
        if let Value::Int(number) = self.root { Some(number) } else { None }
    }

    /// The texts in the list that the pickle is.
    pub fn texts(&self) -> Option<Vec<Cow<'a, str>>> {
        let Value::Object(list) = self.root else { return None };
        self.reader.objects[list].list.iter().map(|item| self.reader.text(*item)).collect()
    }

    /// The value of `key` in the dictionary that the pickle is: a number, or 0 and 1 for no and yes.
    pub fn number_at(&self, key: &str) -> Option<i64> {
        let Value::Object(dictionary) = self.root else { return None };
        let is_it = |(name, _): &&(Value, Value)| self.reader.text(*name).is_some_and(|name| name == key);
        match self.reader.objects[dictionary].pairs.iter().find(is_it)?.1 {
            Value::Int(number) => Some(number),
            _ => None,
        }
    }

    /// By its key, how many numbers each storage that is mentioned has, and the bytes of one: 0 if that is not known.
    pub fn storages(&self) -> Result<HashMap<String, (u64, u64)>> {
        let mut all = HashMap::new();
        for Storage { key, numbers, item, .. } in &self.reader.storages {
            let size = (*numbers as u64, *item as u64);
            let is_one = all.insert(key.clone(), size).is_none_or(|other| other == size);
            ensure!(is_one, "the storage `{key}` has two sizes");
        }
        Ok(all)
    }

    /// All tensors, by the keys, places and attributes that lead to them, joined by dots.
    pub fn tensors(&self) -> Result<Vec<(String, Stored)>> {
        let reader = &self.reader;
        let (found, names, seen) = (Vec::new(), HashMap::new(), HashSet::new());
        let mut walk = Walk { reader, found, names, seen, bytes: 0, steps: 0 };
        walk.visit(self.root, &mut String::new(), &mut Vec::new())?;
        Ok(walk.found)
    }
}

impl<'a> Reader<'a> {
    /// Obeys one opcode; false after the last.
    fn step(&mut self) -> Result<bool> {
        ensure!(self.stack.len().max(self.marks.len()) <= MOST_PARTS, "it has more than {MOST_PARTS} parts");
        match self.byte()? {
            b'.' => return Ok(false),
            0x80 => ensure!(self.byte()? <= 5, "it is a pickle of a protocol that is not known"),
            0x95 => _ = self.take(8)?,
            // Numbers.
            b'I' | b'L' => {
                let line = self.line()?;
                let text = std::str::from_utf8(&self.bytes[line.0..line.1])?.trim_end_matches('L');
                self.push(text.parse().map_or(Value::Nothing, Value::Int));
            }
            b'J' => {
                let number = self.number(4)? as u32 as i32;
                self.push(Value::Int(number.into()));
            }
            b'K' => self.push_number(1)?,
            b'M' => self.push_number(2)?,
            0x8a => {
                let length = self.number(1)?;
                self.push_long(length)?;
            }
            0x8b => {
                let length = self.number(4)?;
                self.push_long(length)?;
            }
            0x88 => self.push(Value::Int(1)),
            0x89 => self.push(Value::Int(0)),
            b'G' => self.skip(8)?,
            b'F' => {
                self.line()?;
                self.push(Value::Nothing);
            }
            b'N' => self.push(Value::Nothing),
            // Texts, and bytes, which nobody asks for.
            b'V' | b'S' => {
                let (start, end) = self.line()?;
                let quoted = matches!(self.bytes.get(start), Some(b'\'' | b'"')) && end > start + 1;
                self.push(if quoted { Value::Text(start + 1, end - 1) } else { Value::Text(start, end) });
            }
            b'U' | 0x8c => self.push_text(1)?,
            b'T' | b'X' => self.push_text(4)?,
            0x8d => self.push_text(8)?,
            b'C' => self.skip_counted(1)?,
            b'B' => self.skip_counted(4)?,
            0x8e | 0x96 => self.skip_counted(8)?,
            // What has parts.
            b'(' => self.marks.push(self.stack.len()),
            b')' | b']' | b'}' | 0x8f => self.push_object(Object::default())?,
            b't' | b'l' | 0x91 => {
                let list = self.up_to_mark()?;
                self.push_object(Object { list, ..Object::default() })?;
            }
            b'd' => {
                let pairs = pairs(&self.up_to_mark()?);
                self.push_object(Object { pairs, ..Object::default() })?;
            }
            code @ 0x85..=0x87 => {
                let list = self.pop_many(usize::from(code - 0x84))?;
                self.push_object(Object { list, ..Object::default() })?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(&[item], false)?;
            }
            b'e' | 0x90 => {
                let items = self.up_to_mark()?;
                self.extend(&items, false)?;
            }
            b's' => {
                let pair = self.pop_many(2)?;
                self.extend(&pair, true)?;
            }
            b'u' => {
                let items = self.up_to_mark()?;
                self.extend(&items, true)?;
            }
            // The stack, and the table of values.
            b'0' if self.marks.last() == Some(&self.stack.len()) => _ = self.marks.pop(),
            b'0' => _ = self.pop()?,
            b'1' => _ = self.up_to_mark()?,
            b'2' => {
                let top = self.top()?;
                self.push(top);
            }
            code @ (b'p' | b'q' | b'r') => {
                let place = self.place(code)?;
                self.put(place)?;
            }
            0x94 => self.put(self.memo.len() as u32)?,
            code @ (b'g' | b'h' | b'j') => {
                let place = self.place(code)?;
                self.get(place)?;
            }
            // Classes, and what is made by them.
            b'c' => {
                let names = [self.line()?, self.line()?];
                self.push(Value::Class(names));
            }
            0x93 => match self.pop_many(2)?[..] {
                [Value::Text(start, end), Value::Text(first, last)] => self.push(Value::Class([(start, end), (first, last)])),
                _ => bail!("a class in it has no name"),
            },
            b'P' => {
                self.line()?;
                self.push(Value::Nothing);
            }
            b'Q' => {
                let id = self.pop()?;
                let value = self.persistent(id)?;
                self.push(value);
            }
            b'R' | 0x81 => {
                let made = self.pop_many(2)?;
                let value = self.made(made[0], made[1])?;
                self.push(value);
            }
            0x92 => {
                let made = self.pop_many(3)?;
                let value = self.made(made[0], made[1])?;
                self.push(value);
            }
            b'i' => {
                let class = Value::Class([self.line()?, self.line()?]);
                let list = self.up_to_mark()?;
                let arguments = self.object(Object { list, ..Object::default() })?;
                let value = self.made(class, arguments)?;
                self.push(value);
            }
            b'o' => {
                let items = self.up_to_mark()?;
                let [class, list @ ..] = &items[..] else { bail!("an object in it has no class") };
                let arguments = self.object(Object { list: list.to_vec(), ..Object::default() })?;
                let value = self.made(*class, arguments)?;
                self.push(value);
            }
            b'b' => {
                let state = self.pop()?;
                if let Value::Object(object) = self.top()? {
                    self.objects[object].attributes = Some(state);
                }
            }
            code @ (0x82..=0x84) => {
                self.take(1 << (code - 0x82))?;
                self.push(Value::Nothing);
            }
            code => bail!("there is no pickle opcode {code:#04x}"),
        }
        Ok(true)
    }

    /// What `callable` makes of the tuple `arguments`: a tensor, or something that may hold some.
    fn made(&mut self, callable: Value, arguments: Value) -> Result<Value> {
        let Value::Class(names) = callable else { return self.object(Object::default()) };
        let fields = self.list(arguments).to_vec();
        let [module, name] = names.map(|(start, end)| String::from_utf8_lossy(&self.bytes[start..end]).into_owned());
        match (module.as_str(), name.as_str()) {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => self.tensor(&fields, None, fields.get(6)),
            ("torch._utils", "_rebuild_tensor_v3") => self.tensor(&fields, fields.get(6).copied(), fields.get(7)),
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                fields.first().copied().context("a parameter has no tensor")
            }
            ("torch._tensor", "_rebuild_from_type_v2" | "_rebuild_from_type") | ("torch.tensor", "_rebuild_from_type") => {
                let [function, _, arguments, ..] = fields[..] else { bail!("a tensor has no numbers") };
                let is_this =
                    matches!(function, Value::Class([_, name]) if self.bytes[name.0..name.1].starts_with(b"_rebuild_from"));
                if is_this { self.object(Object::default()) } else { self.made(function, arguments) }
            }
            // Of protocols before 2: the last is what the class it inherits from is made of.
            ("copy_reg" | "copyreg", "_reconstructor") => {
                self.object(Object { attributes: fields.get(2).copied(), ..Object::default() })
            }
            _ => {
                // `OrderedDict([(key, value), …])`, `deque([…])`, `set([…])`: the first argument with items, if there is one.
                let mut object = Object::default();
                let items = fields.iter().find_map(|field| if let Value::Object(items) = field { Some(*items) } else { None });
                if let Some(items) = items.map(|items| &self.objects[items]) {
                    object.pairs.clone_from(&items.pairs);
                    let pair = |item: &Value| match self.list(*item) {
                        [key, value] => Some((*key, *value)),
                        _ => None,
                    };
                    match items.list.iter().map(pair).collect::<Option<Vec<_>>>() {
                        Some(pairs) if name.ends_with("Dict") || name.ends_with("dict") => object.pairs.extend(pairs),
                        _ => object.list.clone_from(&items.list),
                    }
                    self.charge(object.pairs.len() + object.list.len())?;
                }
                self.object(object)
            }
        }
    }

    /// `('storage', FloatStorage, key, location, numbers[, view])`
    fn persistent(&mut self, id: Value) -> Result<Value> {
        let fields = self.list(id).to_vec();
        let [tag, class, key, _, numbers, view @ ..] = &fields[..] else {
            // `('module', class, …)` of whole networks in files of PyTorch before 0.4.
            return Ok(fields.get(1).copied().unwrap_or(Value::Nothing));
        };
        if self.text(*tag).is_none_or(|tag| tag != "storage") {
            return Ok(fields[1]);
        }
        let class = match class {
            Value::Class([_, (start, end)]) | Value::Text(start, end) => String::from_utf8_lossy(&self.bytes[*start..*end]),
            _ => bail!("a storage has no type"),
        };
        let (kind, item) = if class == "UntypedStorage" { (None, 1) } else { storage_kind(&class) };
        let key = match key {
            Value::Int(key) => key.to_string(),
            other => self.text(*other).context("a storage has no key")?.into_owned(),
        };
        let count = |value: Option<&Value>| match value {
            Some(Value::Int(number)) => usize::try_from(*number).ok(),
            _ => None,
        };
        let numbers = count(Some(numbers)).context("a storage has no size")?;
        let begin = view.first().map(|view| self.list(*view)).and_then(|view| count(view.get(1))).unwrap_or(0);
        self.charge(1)?;
        self.storages.push(Storage { key, item, kind, numbers, begin });
        Ok(Value::Storage(self.storages.len() - 1))
    }

    /// `(storage, offset, sizes, strides, …)`; `flags` say whether the numbers are to be negated or conjugated.
    fn tensor(&mut self, fields: &[Value], kind: Option<Value>, flags: Option<&Value>) -> Result<Value> {
        let [storage, offset, sizes, strides, ..] = fields else { bail!("a tensor lacks its sizes") };
        // One that is in no storage, as of numbers that are packed.
        let Value::Storage(storage) = storage else { return Ok(Value::Nothing) };
        let whole = |value: &Value| match value {
            Value::Int(number) => usize::try_from(*number).context("a size is negative"),
            _ => bail!("a size is no number"),
        };
        let all = |list: &Value| self.list(*list).iter().map(whole).collect::<Result<Vec<_>>>();
        let (shape, strides) = (all(sizes)?, all(strides)?);
        ensure!(shape.len() == strides.len() && shape.len() <= 64, "a tensor has {} sizes", shape.len());
        let Storage { key, kind: stored, begin, .. } = &self.storages[*storage];
        let named = match kind {
            Some(Value::Class([_, (start, end)])) => Some(kind_called(&String::from_utf8_lossy(&self.bytes[start..end]))),
            _ => None,
        };
        let mut kind = stored.clone().or(named).unwrap_or_else(|| Err("of an unknown type".into()));
        if let Some(Value::Object(flags)) = flags
            && self.objects[*flags].pairs.iter().any(|(_, flag)| !matches!(flag, Value::Int(0)))
        {
            kind =
                Err("a view that is negated or conjugated as it is read: save what `resolve_neg().resolve_conj()` gives".into());
        }
        let offset = whole(offset)?.checked_add(*begin).context("a tensor begins nowhere")?;
        let tensor = Stored { storage: key.clone(), kind, offset, shape, strides };
        ensure!(self.tensors.len() < MOST_TENSORS, "it has more than {MOST_TENSORS} tensors");
        self.tensors.push(tensor);
        Ok(Value::Tensor(self.tensors.len() - 1))
    }

    /// Adds to the list or dictionary that is on the stack, or whatever is.
    fn extend(&mut self, items: &[Value], by_key: bool) -> Result<()> {
        self.charge(items.len())?;
        if let Value::Object(object) = self.top()? {
            let object = &mut self.objects[object];
            if by_key { object.pairs.extend(pairs(items)) } else { object.list.extend(items) }
        }
        Ok(())
    }

    /// The parts of a list or tuple; of all else there are none.
    fn list(&self, value: Value) -> &[Value] {
        if let Value::Object(object) = value { &self.objects[object].list } else { &[] }
    }

    fn text(&self, value: Value) -> Option<Cow<'a, str>> {
        if let Value::Text(start, end) = value { Some(String::from_utf8_lossy(&self.bytes[start..end])) } else { None }
    }

    fn object(&mut self, object: Object) -> Result<Value> {
        self.charge(1)?;
        self.objects.push(object);
        Ok(Value::Object(self.objects.len() - 1))
    }

    /// Fails if the objects and their parts become too many.
    fn charge(&mut self, parts: usize) -> Result<()> {
        self.parts = self.parts.saturating_add(parts);
        ensure!(self.parts <= MOST_PARTS, "it has more than {MOST_PARTS} parts");
        Ok(())
    }

    fn push_object(&mut self, object: Object) -> Result<()> {
        let value = self.object(object)?;
        self.push(value);
        Ok(())
    }

    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    fn push_number(&mut self, bytes: usize) -> Result<()> {
        let number = self.number(bytes)?;
        self.push(Value::Int(number as i64));
        Ok(())
    }

    /// A number of any length, which is of no use if it is longer than eight bytes.
    fn push_long(&mut self, length: u64) -> Result<()> {
        let (start, end) = self.take(length)?;
        let bytes = &self.bytes[start..end];
        let is_negative = bytes.last().is_some_and(|last| *last >= 0x80);
        let mut all = [if is_negative { 0xff } else { 0 }; 8];
        self.push(match all.get_mut(..bytes.len()) {
            Some(low) => {
                low.copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(all))
            }
            None => Value::Nothing,
        });
        Ok(())
    }

    fn push_text(&mut self, count: usize) -> Result<()> {
        let length = self.number(count)?;
        let (start, end) = self.take(length)?;
        self.push(Value::Text(start, end));
        Ok(())
    }

    fn skip(&mut self, length: u64) -> Result<()> {
        self.take(length)?;
        self.push(Value::Nothing);
        Ok(())
    }

    fn skip_counted(&mut self, count: usize) -> Result<()> {
        let length = self.number(count)?;
        self.skip(length)
    }

    fn put(&mut self, place: u32) -> Result<()> {
        let top = self.top()?;
        self.charge(1)?;
        self.memo.insert(place, top);
        Ok(())
    }

    fn get(&mut self, place: u32) -> Result<()> {
        let value = *self.memo.get(&place).with_context(|| format!("its table of values has no place {place}"))?;
        self.push(value);
        Ok(())
    }

    /// Where in the table of values the opcode `code` puts or gets one: in a line of digits, in one byte or in four.
    fn place(&mut self, code: u8) -> Result<u32> {
        match code {
            b'p' | b'g' => {
                let (start, end) = self.line()?;
                Ok(std::str::from_utf8(&self.bytes[start..end])?.parse()?)
            }
            b'q' | b'h' => Ok(self.number(1)? as u32),
            _ => Ok(self.number(4)? as u32),
        }
    }

    fn top(&self) -> Result<Value> {
        self.stack.last().copied().context("its stack is empty")
    }

    fn pop(&mut self) -> Result<Value> {
        self.stack.pop().context("its stack is empty")
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Value>> {
        let start = self.stack.len().checked_sub(count).context("its stack is empty")?;
        Ok(self.stack.split_off(start))
    }

    fn up_to_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len()).context("its stack has no mark")?;
        Ok(self.stack.split_off(mark))
    }

    fn byte(&mut self) -> Result<u8> {
        let (start, _) = self.take(1)?;
        Ok(self.bytes[start])
    }

    fn number(&mut self, bytes: usize) -> Result<u64> {
        let (start, end) = self.take(bytes as u64)?;
        Ok(self.bytes[start..end].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// The text up to the end of the line.
    fn line(&mut self) -> Result<(usize, usize)> {
        let start = self.at;
        let length = self.bytes[start..].iter().position(|byte| *byte == b'\n').context("it ends too early")?;
        self.at = start + length + 1;
        let is_windows = length > 0 && self.bytes[start + length - 1] == b'\r';
        Ok((start, start + length - usize::from(is_windows)))
    }

    fn take(&mut self, length: u64) -> Result<(usize, usize)> {
        let start = self.at;
        let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
        self.at = end.filter(|end| *end <= self.bytes.len()).context("it ends too early")?;
        Ok((start, self.at))
    }
}

fn pairs(items: &[Value]) -> Vec<(Value, Value)> {
    items.as_chunks::<2>().0.iter().map(|[key, value]| (*key, *value)).collect()
}

/// The type of the numbers in a storage of this class, and the bytes of one.
fn storage_kind(class: &str) -> (Option<Result<Kind, String>>, usize) {
    let (kind, item) = match class {
        "FloatStorage" => (Ok(Kind::Float), 4),
        "DoubleStorage" => (Ok(Kind::Double), 8),
        "HalfStorage" => (Ok(Kind::Half), 2),
        "BFloat16Storage" => (Ok(Kind::BFloat16), 2),
        "LongStorage" => (Ok(Kind::Int64), 8),
        "IntStorage" => (Err("of type int32".into()), 4),
        "ShortStorage" => (Err("of type int16".into()), 2),
        "CharStorage" => (Err("of type int8".into()), 1),
        "ByteStorage" => (Err("of type uint8".into()), 1),
        "BoolStorage" => (Err("of type bool".into()), 1),
        "ComplexFloatStorage" => (Err("of type complex64".into()), 8),
        "ComplexDoubleStorage" => (Err("of type complex128".into()), 16),
        "QInt8Storage" | "QUInt8Storage" | "QUInt4x2Storage" | "QUInt2x4Storage" => (Err("of quantized numbers".into()), 1),
        "QInt32Storage" => (Err("of quantized numbers".into()), 4),
        other => (Err(format!("of type {other}")), 0),
    };
    (Some(kind), item)
}

/// The type that PyTorch calls so: `float32`.
fn kind_called(name: &str) -> Result<Kind, String> {
    match name {
        "float32" | "float" => Ok(Kind::Float),
        "float64" | "double" => Ok(Kind::Double),
        "float16" | "half" => Ok(Kind::Half),
        "bfloat16" => Ok(Kind::BFloat16),
        "int64" | "long" => Ok(Kind::Int64),
        other => Err(format!("of type {other}")),
    }
}

/// Looks for tensors.
struct Walk<'r, 'a> {
    reader: &'r Reader<'a>,
    found: Vec<(String, Stored)>,
    /// Where in `found` each is.
    names: HashMap<String, usize>,
    /// Their bytes.
    bytes: usize,
    /// Objects whose attributes were looked at, which may lead to one another in circles.
    seen: HashSet<usize>,
    steps: usize,
}

impl Walk<'_, '_> {
    /// `name` leads to `value`, through the objects in `path`.
    fn visit(&mut self, value: Value, name: &mut String, path: &mut Vec<usize>) -> Result<()> {
        self.charge(1)?;
        let object = match value {
            Value::Tensor(tensor) => {
                let reader = self.reader;
                return self.find(&reader.tensors[tensor], name);
            }
            // A circle, as of a module that knows its parent.
            Value::Object(object) if path.contains(&object) => return Ok(()),
            Value::Object(object) => object,
            _ => return Ok(()),
        };
        ensure!(path.len() < DEEPEST, "it nests deeper than {DEEPEST} levels");
        path.push(object);
        self.enter(object, name, path)?;
        path.pop();
        Ok(())
    }

    /// `name` leads to this tensor. Where it leads to another one, too, nobody can say which is meant.
    fn find(&mut self, tensor: &Stored, name: &str) -> Result<()> {
        if let Some(place) = self.names.get(name) {
            let known = &mut self.found[*place].1;
            if known != tensor {
                known.kind = Err("one of two that are called so".into());
            }
            return Ok(());
        }
        self.bytes += name.len();
        ensure!(self.found.len() < MOST_TENSORS && self.bytes <= MOST_OF_NAMES, "it has more tensors than any network");
        self.names.insert(name.to_owned(), self.found.len());
        self.found.push((name.to_owned(), tensor.clone()));
        Ok(())
    }

    /// Fails if more is looked at than any training leaves behind.
    fn charge(&mut self, steps: usize) -> Result<()> {
        self.steps += steps;
        ensure!(self.steps <= MOST_STEPS, "it nests too much in one another");
        Ok(())
    }

    fn enter(&mut self, at: usize, name: &mut String, path: &mut Vec<usize>) -> Result<()> {
        let reader = self.reader;
        let Object { list, pairs, attributes } = &reader.objects[at];
        self.charge(list.len() + pairs.len())?;
        for (number, item) in list.iter().enumerate().filter(|(_, item)| item.may_lead()) {
            self.visit_at(&number.to_string(), *item, name, path)?;
        }
        self.pairs(pairs, name, path)?;
        let Some(Value::Object(attributes)) = attributes else { return Ok(()) };
        self.charge(reader.objects[*attributes].pairs.len())?;
        match self.tables(*attributes) {
            Some(tables) => self.module(tables, *attributes, name, path),
            None if self.seen.insert(*attributes) => self.attributes(*attributes, name, path),
            None => Ok(()),
        }
    }

    /// Those of an object: a dictionary, or a pair of such.
    fn attributes(&mut self, at: usize, name: &mut String, path: &mut Vec<usize>) -> Result<()> {
        let reader = self.reader;
        let Object { list, pairs, .. } = &reader.objects[at];
        self.pairs(pairs, name, path)?;
        for part in list {
            self.visit(*part, name, path)?;
        }
        Ok(())
    }

    /// The parameters, buffers and modules of a `torch.nn.Module` with these attributes.
    fn tables(&self, attributes: usize) -> Option<[usize; 3]> {
        let table = |name: &str| match self.attribute(attributes, name) {
            Some(Value::Object(table)) => Some(table),
            _ => None,
        };
        Some([table("_parameters")?, table("_buffers")?, table("_modules")?])
    }

    fn attribute(&self, attributes: usize, name: &str) -> Option<Value> {
        let pairs = &self.reader.objects[attributes].pairs;
        pairs.iter().find(|(key, _)| self.reader.text(*key).is_some_and(|key| key == name)).map(|(_, value)| *value)
    }

    /// As `state_dict()`: without buffers that are not kept.
    fn module(&mut self, tables: [usize; 3], attributes: usize, name: &mut String, path: &mut Vec<usize>) -> Result<()> {
        let reader = self.reader;
        let set = self.attribute(attributes, "_non_persistent_buffers_set");
        let set = set.map_or(&[][..], |set| reader.list(set));
        self.charge(set.len())?;
        let left_out: HashSet<Cow<str>> = set.iter().filter_map(|name| reader.text(*name)).collect();
        for (number, table) in tables.into_iter().enumerate() {
            let pairs = &reader.objects[table].pairs;
            self.charge(pairs.len())?;
            for (key, value) in pairs.iter().filter(|(_, value)| value.may_lead()) {
                let Some(key) = reader.text(*key) else { continue };
                if number != 1 || !left_out.contains(&key) {
                    self.visit_at(&key, *value, name, path)?;
                }
            }
        }
        Ok(())
    }

    /// What keys lead to; those that are neither text nor number are called by their place.
    fn pairs(&mut self, pairs: &[(Value, Value)], name: &mut String, path: &mut Vec<usize>) -> Result<()> {
        let reader = self.reader;
        for (number, (key, value)) in pairs.iter().enumerate().filter(|(_, (_, value))| value.may_lead()) {
            let key = match key {
                Value::Int(key) => key.to_string().into(),
                other => reader.text(*other).unwrap_or_else(|| number.to_string().into()),
            };
            self.visit_at(&key, *value, name, path)?;
        }
        Ok(())
    }

    fn visit_at(&mut self, key: &str, value: Value, name: &mut String, path: &mut Vec<usize>) -> Result<()> {
        let length = name.len();
        ensure!(length + key.len() < LONGEST_NAME, "the names of its tensors are longer than {LONGEST_NAME} bytes");
        if length > 0 {
            name.push('.');
        }
        name.push_str(key);
        self.visit(value, name, path)?;
        name.truncate(length);
        Ok(())
    }
}
