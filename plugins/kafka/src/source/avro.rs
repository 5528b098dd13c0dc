//! Avro data without a registry: every record is of the one schema that the request tells.

use crate::config::AvroFraming;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow_avro::reader::{Decoder, ReaderBuilder};
use arrow_avro::schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, SchemaStore};

/// What stands in front of a datum in the registries' framing: a zero and the schema's number.
const REGISTRY_BYTES: usize = 5;

/// Reads data of one schema.
#[derive(Debug, Clone)]
pub(crate) struct Avro {
    store: SchemaStore,
    fingerprint: Fingerprint,
    /// What Arrow's decoder wants to see in front of each datum.
    prefix: Vec<u8>,
    framing: AvroFraming,
    schema: SchemaRef,
}

/// What became of data: the rows, which of the data they were, and what was wrong with the others.
pub(crate) struct Decoded {
    pub(crate) batch: RecordBatch,
    pub(crate) rows: Vec<usize>,
    pub(crate) rejected: Vec<(usize, String)>,
}

impl Avro {
    /// The error is what is wrong with the schema.
    pub(crate) fn new(schema: &str, framing: AvroFraming) -> Result<Self, String> {
        let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Rabin);
        let fingerprint = store.register(AvroSchema::new(schema.to_owned())).map_err(|error| error.to_string())?;
        let Fingerprint::Rabin(number) = fingerprint else { return Err("no fingerprint".to_owned()) };
        let mut prefix = vec![0xC3, 0x01];
        prefix.extend_from_slice(&number.to_le_bytes());
        let mut avro = Self { store, fingerprint, prefix, framing, schema: SchemaRef::new(arrow::datatypes::Schema::empty()) };
        avro.schema = avro.decoder(1).map_err(|error| error.clone())?.schema();
        Ok(avro)
    }

    pub(crate) const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn decoder(&self, rows: usize) -> Result<Decoder, String> {
        ReaderBuilder::new()
            .with_batch_size(rows.max(1))
            .with_writer_schema_store(self.store.clone())
            .with_active_fingerprint(self.fingerprint)
            .build_decoder()
            .map_err(|error| error.to_string())
    }

    /// All data at once; where one of them is bad, each alone.
    pub(crate) fn decode(&self, data: &[&[u8]]) -> Result<Decoded, String> {
        if let Ok(Some(batch)) = self.rows(data) {
            return Ok(Decoded { batch, rows: (0..data.len()).collect(), rejected: Vec::new() });
        }
        let mut decoded = Decoded { batch: RecordBatch::new_empty(SchemaRef::clone(&self.schema)), rows: Vec::new(), rejected: Vec::new() };
        let mut batches = Vec::new();
        for (at, datum) in data.iter().enumerate() {
            match self.rows(&[datum]) {
                Ok(Some(batch)) => {
                    decoded.rows.push(at);
                    batches.push(batch);
                }
                Ok(None) => decoded.rejected.push((at, "not one datum of the schema".to_owned())),
                Err(reason) => decoded.rejected.push((at, reason)),
            }
        }
        decoded.batch = concat_batches(&self.schema, &batches).map_err(|error| error.to_string())?;
        Ok(decoded)
    }

    /// Nothing where one of them is less or more than one datum.
    fn rows(&self, data: &[&[u8]]) -> Result<Option<RecordBatch>, String> {
        let mut decoder = self.decoder(data.len())?;
        let mut framed = Vec::new();
        for (at, datum) in data.iter().enumerate() {
            framed.clear();
            match self.framing {
                AvroFraming::None => {
                    framed.extend_from_slice(&self.prefix);
                    framed.extend_from_slice(datum);
                }
                AvroFraming::Registry => {
                    let body = datum.get(REGISTRY_BYTES..).filter(|_| datum.first() == Some(&0));
                    framed.extend_from_slice(&self.prefix);
                    framed.extend_from_slice(body.ok_or("not in the framing of a schema registry")?);
                }
                AvroFraming::SingleObject => framed.extend_from_slice(datum),
            }
            let taken = decoder.decode(&framed).map_err(|error| error.to_string())?;
            if taken != framed.len() || decoder.capacity() != data.len() - at - 1 {
                return Ok(None);
            }
        }
        match decoder.flush().map_err(|error| error.to_string())? {
            Some(batch) if batch.num_rows() == data.len() => Ok(Some(batch)),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Avro;
    use crate::config::AvroFraming;

    const SCHEMA: &str = r#"{"type": "record", "name": "r", "fields": [{"name": "a", "type": "long"}, {"name": "b", "type": "string"}]}"#;

    #[test]
    fn bad_data_are_told_apart() {
        let avro = Avro::new(SCHEMA, AvroFraming::None).unwrap();
        // 3 is 06, a text of one byte is 02 and the byte.
        let good: &[u8] = &[6, 2, b'x'];
        let all = avro.decode(&[good, good]).unwrap();
        assert_eq!((all.batch.num_rows(), all.rejected.len()), (2, 0));
        let some = avro.decode(&[good, &[6, 9], &[6, 2, b'x', 0], b"", good, &[0xff; 11]]).unwrap();
        assert_eq!((some.batch.num_rows(), some.rows), (2, vec![0, 4]));
        assert_eq!(some.rejected.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 2, 3, 5]);
        assert_eq!(avro.decode(&[]).unwrap().batch.num_rows(), 0);
    }

    #[test]
    fn framings_are_taken_off() {
        let avro = Avro::new(SCHEMA, AvroFraming::Registry).unwrap();
        let decoded = avro.decode(&[&[0, 0, 0, 0, 7, 6, 2, b'x'], &[1, 0, 0, 0, 7, 6, 2, b'x'], &[0]]).unwrap();
        assert_eq!((decoded.rows, decoded.rejected.len()), (vec![0], 2));
        assert!(Avro::new("{", AvroFraming::None).is_err());
        assert!(Avro::new(r#"{"type": "nothing"}"#, AvroFraming::None).is_err());
    }
}
