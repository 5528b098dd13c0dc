//! Lies are refused, each by its reason; and whatever bytes come, nothing panics and nothing invalid gets through.

use super::{batch, kept};
use crate::abi::{BatchOut, FieldNode, RowsKept};
use crate::batch::tests::{echo, values};
use crate::error::Fault;
use crate::schema::tests::every_type;
use crate::transform::Kept;
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use azora_spec::limits::GuestLimits;
use std::sync::Arc;

/// Mutated batches of the fuzz test.
const MUTANTS: usize = 20_000;

fn schema(data_type: DataType, is_nullable: bool) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("c", data_type, is_nullable)]))
}

fn flaw(schema: &SchemaRef, rows: u64, nodes: &[(u64, u64)], buffers: &[&[u8]]) -> String {
    batch(schema, forged(rows, nodes, buffers), &GuestLimits::default()).unwrap_err().to_string()
}

fn forged(rows: u64, nodes: &[(u64, u64)], buffers: &[&[u8]]) -> BatchOut {
    let nodes = nodes.iter().map(|(length, null_count)| FieldNode { length: *length, null_count: *null_count }).collect();
    BatchOut { rows, nodes, buffers: buffers.iter().map(|buffer| buffer.to_vec()).collect() }
}

fn offsets(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn lengths_and_counts_must_agree() {
    let int = schema(DataType::Int64, true);
    assert!(flaw(&int, 2, &[(2, 0)], &[&[], &[0; 15]]).contains("15 bytes for 2 values"));
    assert!(flaw(&int, 2, &[(3, 0)], &[&[], &[0; 24]]).contains("3 values where 2"));
    assert!(flaw(&int, 2, &[], &[&[], &[0; 16]]).contains("too few nodes"));
    assert!(flaw(&int, 2, &[(2, 0)], &[&[]]).contains("too few buffers"));
    assert!(flaw(&int, 2, &[(2, 0), (2, 0)], &[&[], &[0; 16]]).contains("more nodes or buffers"));
    assert!(flaw(&int, 2, &[(2, 0)], &[&[], &[0; 16], &[]]).contains("more nodes or buffers"));
    assert!(flaw(&int, 2, &[(2, 3)], &[&[0], &[0; 16]]).contains("more nulls than values"));
    assert!(flaw(&int, 2, &[(2, 1)], &[&[], &[0; 16]]).contains("without a validity bitmap"));
    assert!(flaw(&int, 2, &[(2, 1)], &[&[0b00], &[0; 16]]).contains("2 nulls beside a count of 1"));
    assert!(flaw(&int, 9, &[(9, 9)], &[&[0], &[0; 72]]).contains("bitmap of 1 bytes"));
    assert!(flaw(&schema(DataType::Int64, false), 2, &[(2, 1)], &[&[0b01], &[0; 16]]).contains("nulls in column 'c'"));
}

#[test]
fn text_and_offsets_are_checked() {
    let text = schema(DataType::Utf8, true);
    assert!(flaw(&text, 2, &[(2, 0)], &[&[], &offsets(&[0, 3, 1]), b"abc"]).contains("descend"));
    assert!(flaw(&text, 2, &[(2, 0)], &[&[], &offsets(&[-1, 0, 1]), b"abc"]).contains("negative"));
    assert!(flaw(&text, 2, &[(2, 0)], &[&[], &offsets(&[0, 1, 4]), b"abc"]).contains("3 bytes for 4 values"));
    assert!(flaw(&text, 2, &[(2, 0)], &[&[], &offsets(&[0, 1]), b"abc"]).contains("8 bytes for 3 values"));
    assert!(flaw(&text, 1, &[(1, 0)], &[&[], &offsets(&[0, 2]), b"\xc3\x28"]).contains("columnar format"));
    assert!(flaw(&text, 2, &[(2, 0)], &[&[], &offsets(&[0, 1, 2]), "é".as_bytes()]).contains("columnar format"));
    let list = schema(DataType::List(Arc::new(Field::new("item", DataType::Int8, true))), true);
    assert!(flaw(&list, 1, &[(1, 0), (1, 0)], &[&[], &offsets(&[0, 2]), &[], &[7]]).contains("columnar format"));
}

#[test]
fn decimals_have_the_digits_of_their_type() {
    let decimal = schema(DataType::Decimal128(3, 0), true);
    assert!(batch(&decimal, forged(1, &[(1, 0)], &[&[], &999_i128.to_le_bytes()]), &GuestLimits::default()).is_ok());
    assert!(flaw(&decimal, 1, &[(1, 0)], &[&[], &1000_i128.to_le_bytes()]).contains("more digits"));
}

#[test]
fn output_is_bounded() {
    let limits = GuestLimits { output_rows_max: 10, output_bytes_max: 100, ..GuestLimits::default() };
    let int = schema(DataType::Int64, true);
    let over = |rows, buffers: &[&[u8]]| batch(&int, forged(rows, &[(rows, 0)], buffers), &limits).unwrap_err();
    assert_eq!(over(11, &[&[], &[0; 88]]), Fault::OutputLimit { limit: 10, unit: "rows" });
    assert_eq!(over(1, &[&[], &[0; 101]]), Fault::OutputLimit { limit: 100, unit: "bytes" });
    assert_eq!(over(u64::MAX, &[&[], &[]]), Fault::OutputLimit { limit: 10, unit: "rows" });
    // A list of nulls costs no byte, so its elements are counted.
    let nulls = schema(DataType::List(Arc::new(Field::new("item", DataType::Null, true))), true);
    let many = forged(1, &[(1, 0), (1 << 30, 0)], &[&[], &offsets(&[0, 1 << 30])]);
    assert!(batch(&nulls, many, &limits).unwrap_err().to_string().contains("more empty values"));
}

#[test]
fn longer_buffers_are_cut_and_odd_addresses_are_copied() {
    let int = schema(DataType::Int64, true);
    let made = batch(&int, forged(2, &[(2, 0)], &[&[0xff, 0xff], &[1; 64]]), &GuestLimits::default()).unwrap();
    assert_eq!((made.num_rows(), made.column(0).null_count()), (2, 0));
    let empty = batch(&schema(DataType::Utf8, true), forged(0, &[(0, 0)], &[&[], &[], &[]]), &GuestLimits::default()).unwrap();
    assert_eq!(empty.num_rows(), 0);
}

#[test]
fn kept_rows_must_be_rows() {
    assert!(matches!(kept(RowsKept::All, 3, 3, true), Ok(Kept::All)));
    assert!(matches!(kept(RowsKept::All, 3, 9, false), Ok(Kept::All)));
    assert!(kept(RowsKept::All, 3, 2, true).is_err());
    assert!(matches!(kept(RowsKept::Bitmap(vec![0b1111_0101]), 3, 2, true), Ok(Kept::Bitmap(bits)) if bits.len() == 3));
    assert!(kept(RowsKept::Bitmap(vec![0b101]), 3, 3, true).is_err());
    assert!(kept(RowsKept::Bitmap(vec![0xff]), 9, 9, true).is_err());
    assert!(matches!(kept(RowsKept::Indices(vec![2, 0, 2]), 3, 3, true), Ok(Kept::Indices(_))));
    assert!(kept(RowsKept::Indices(vec![3]), 3, 1, true).is_err());
    assert!(kept(RowsKept::Indices(vec![u32::MAX]), 3, 1, true).is_err());
    assert!(kept(RowsKept::Indices(vec![0]), 3, 2, true).is_err());
    assert!(kept(RowsKept::Indices(vec![]), 0, 0, true).is_ok());
}

/// A small generator: the same mutants in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides.max(1) as u64).unwrap()
    }

    fn number(&mut self) -> u64 {
        let interesting = [0, 1, 7, 8, 63, 64, 255, 1 << 20, 1 << 31, 1 << 32, 1 << 62, u64::MAX];
        if self.roll(2) == 0 { interesting[self.roll(interesting.len())] } else { self.roll(200) as u64 }
    }

    fn mutate(&mut self, batch: &mut BatchOut) {
        let node = self.roll(batch.nodes.len());
        let buffer = self.roll(batch.buffers.len());
        match self.roll(11) {
            0 => batch.rows = self.number(),
            1 if !batch.nodes.is_empty() => batch.nodes[node].length = self.number(),
            2 if !batch.nodes.is_empty() => batch.nodes[node].null_count = self.number(),
            3 if !batch.nodes.is_empty() => drop(batch.nodes.remove(node)),
            4 => batch.nodes.push(FieldNode { length: self.number(), null_count: self.number() }),
            5 if !batch.buffers.is_empty() => drop(batch.buffers.remove(buffer)),
            6 => batch.buffers.push(vec![0xff; self.roll(40)]),
            7 if !batch.buffers.is_empty() => {
                let length = self.roll(batch.buffers[buffer].len() + 1);
                batch.buffers[buffer].truncate(length);
            }
            8 if batch.buffers.len() > 1 => {
                let other = self.roll(batch.buffers.len());
                batch.buffers.swap(buffer, other);
            }
            _ if !batch.buffers.is_empty() => {
                let length = batch.buffers[buffer].len();
                for _ in 0..=self.roll(4) {
                    let (at, byte) = (self.roll(length), self.roll(256));
                    if let Some(place) = batch.buffers[buffer].get_mut(at) {
                        *place = u8::try_from(byte).unwrap();
                    }
                }
            }
            _ => {}
        }
    }
}

#[test]
fn no_mutant_panics_and_none_that_passes_is_invalid() {
    let mut dice = Dice(0x1234_5678_9abc_def1);
    let types = every_type();
    let (mut passed, mut refused) = (0, 0);
    let sources: Vec<(SchemaRef, BatchOut)> = types
        .iter()
        .map(|data_type| {
            let schema = schema(data_type.clone(), true);
            let whole = RecordBatch::try_new(Arc::clone(&schema), vec![values(data_type, 40)]).unwrap();
            (schema, echo(&whole))
        })
        .collect();
    for _ in 0..MUTANTS {
        let (schema, source) = &sources[dice.roll(sources.len())];
        let mut mutant = source.clone();
        for _ in 0..=dice.roll(3) {
            dice.mutate(&mut mutant);
        }
        let received: usize = mutant.buffers.iter().map(Vec::len).sum();
        match batch(schema, mutant, &GuestLimits::default()) {
            Ok(made) => {
                made.column(0).to_data().validate_full().unwrap();
                let held = made.get_array_memory_size();
                assert!(held <= received * 4 + 64 * 1024, "{held} bytes made of {received}");
                passed += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(passed > MUTANTS / 20 && refused > MUTANTS / 20, "{passed} passed, {refused} refused: the mutants test nothing");
}
