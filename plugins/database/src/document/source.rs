//! Reading: the columns of a collection, by a sample, and its documents in the order of their ids, which cut it into parts
//! and by which reading goes on.
//!
//! Comparisons of MongoDB find values of one type only, so a collection whose ids have several types is read as one part,
//! and continued by counting.

use super::array::{batch, document_json, shown};
use super::conditions::filters;
use super::kind::Kind;
use super::session::Session;
use crate::config::document::Reading;
use crate::dial::Server;
use crate::error::Error;
use crate::source::ahead::{Ahead, Sent};
use crate::source::{PARTS_MAX, share};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, SchemaRef};
use async_trait::async_trait;
use azora_connect::element::{self, Element};
use azora_connect::json::{SAMPLE_BYTES_MAX, SAMPLE_ROWS};
use azora_connect::{Condition, Position, ReadRequest, Reader, Source, Split};
use azora_spec::Failure;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::{Collection, Cursor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The member by which documents are told apart.
const ID: &str = "_id";
/// Most bytes of a stored id; longer ones are not continued from.
const ID_BYTES_MAX: usize = 16 << 10;

/// A collection.
#[derive(Debug)]
pub(crate) struct MongoSource {
    session: Arc<Session>,
    reading: Arc<Reading>,
    schema: SchemaRef,
}

/// The documents of one split. Ids are in extended JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "documents")]
enum Part {
    /// Every one; in the order of ids of one type, or of several.
    All { is_ordered: bool },
    /// Those whose id lies in a half-open range.
    Range { from: Option<Value>, to: Option<Value> },
}

/// How far a part was read: documents looked at, and the last id.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Place {
    documents: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
}

impl Place {
    fn position(&self) -> Result<Position, Error> {
        serde_json::to_string(self).map(Position).map_err(|_| Error::Broken("a position is JSON"))
    }

    fn read(position: Option<&Position>) -> Result<Self, Error> {
        position.map_or(Ok(Self::default()), |Position(text)| serde_json::from_str(text).map_err(|_| Error::Foreign("position")))
    }
}

impl MongoSource {
    /// Looks at the first documents.
    pub(crate) async fn connect(server: &Server, reading: Reading) -> Result<Self, Failure> {
        let session = Session::open(server).await?;
        session.find(&reading.collection).await?;
        let schema = schema(&session, &reading).await?;
        Ok(Self { session: Arc::new(session), reading: Arc::new(reading), schema })
    }

    fn documents(&self) -> Collection<RawDocumentBuf> {
        self.session.database.collection(&self.reading.collection)
    }

    /// The first id in an order, behind so many others.
    async fn id(&self, direction: i32, behind: u64) -> Result<Option<Bson>, Error> {
        let collection = self.session.database.collection::<Document>(&self.reading.collection);
        let found = collection.find_one(Document::new()).sort(doc! {ID: direction}).skip(behind).projection(doc! {ID: 1});
        Ok(self.session.ask("collection", "/collection", found).await?.and_then(|mut found| found.remove(ID)))
    }

    async fn cut(&self, parallelism: usize) -> Result<(Vec<Part>, u64), Error> {
        let collection = self.documents();
        let count = self.session.ask("collection", "/collection", collection.estimated_document_count()).await?;
        let (Some(first), Some(last)) = (self.id(1, 0).await?, self.id(-1, 0).await?) else {
            return Ok((vec![Part::All { is_ordered: true }], count));
        };
        if bracket(&first).is_none() || bracket(&first) != bracket(&last) {
            return Ok((vec![Part::All { is_ordered: false }], count));
        }
        let parts = (parallelism.clamp(1, PARTS_MAX) as u64).min(count.max(1));
        let mut cuts: Vec<Value> = Vec::new();
        for at in 1..parts {
            let id = self.id(1, count.saturating_mul(at) / parts).await?;
            cuts.extend(id.as_ref().and_then(stored).filter(|id| cuts.last() != Some(id)));
        }
        let mut from = None;
        let mut all = Vec::new();
        for cut in cuts {
            all.push(Part::Range { from: from.replace(cut.clone()), to: Some(cut) });
        }
        // One that is not cut need not compare.
        all.push(if all.is_empty() { Part::All { is_ordered: true } } else { Part::Range { from, to: None } });
        Ok((all, count))
    }

    /// The documents of a part behind a place.
    async fn cursor(
        &self,
        part: &Part,
        place: &Place,
        fields: &[Arc<Field>],
        wanted: &[Condition],
    ) -> Result<Cursor<RawDocumentBuf>, Error> {
        let mut conditions = Vec::new();
        if !self.reading.filter.is_empty() {
            conditions.push(self.reading.filter.clone());
        }
        conditions.extend(filters(&self.schema, wanted));
        let is_ordered = match part {
            Part::All { is_ordered } => *is_ordered,
            Part::Range { from, to } => {
                for (operator, end) in [("$gte", from), ("$lt", to)] {
                    if let Some(end) = end {
                        conditions.push(doc! {ID: {operator: restored(end)?}});
                    }
                }
                true
            }
        };
        let after = place.id.as_ref().filter(|_| is_ordered);
        if let Some(last) = after {
            conditions.push(doc! {ID: {"$gt": restored(last)?}});
        }
        let filter = match conditions.len() {
            0 => Document::new(),
            1 => conditions.remove(0),
            _ => doc! {"$and": conditions},
        };
        let collection = self.documents();
        let skip = if after.is_some() { 0 } else { place.documents };
        let mut find = collection.find(filter).sort(doc! {ID: 1}).skip(skip);
        if let Some(projection) = self.projection(fields) {
            find = find.projection(projection);
        }
        self.session.ask("filter", "/filter", find).await
    }

    /// What the server is asked to send: the members that become columns.
    fn projection(&self, fields: &[Arc<Field>]) -> Option<Document> {
        // The server would take these for something else.
        let is_plain = |name: &String| !name.is_empty() && !name.starts_with('$') && !name.contains('.');
        if fields.len() == self.schema.fields().len() && self.reading.columns.is_empty() {
            return self.reading.projection.clone();
        }
        if !fields.iter().all(|field| is_plain(field.name())) {
            return None;
        }
        let mut all = doc! {ID: 1};
        all.extend(fields.iter().map(|field| (field.name().clone(), Bson::Int32(1))));
        Some(all)
    }
}

/// The columns: told, or of the first documents.
async fn schema(session: &Session, reading: &Reading) -> Result<SchemaRef, Error> {
    let collection = session.database.collection::<RawDocumentBuf>(&reading.collection);
    let mut find = collection.find(reading.filter.clone()).limit(SAMPLE_ROWS as i64);
    if let Some(projection) = &reading.projection {
        find = find.projection(projection.clone());
    } else if !reading.columns.is_empty() {
        find = find.projection(reading.columns.iter().map(|name| (name.clone(), Bson::Int32(1))).collect::<Document>());
    }
    let mut cursor = session.ask("filter", "/filter", find).await?;
    let (mut all, mut bytes) = (Kind::Null, 0);
    while bytes <= SAMPLE_BYTES_MAX && session.ask("filter", "/filter", cursor.advance()).await? {
        bytes += cursor.current().as_bytes().len();
        let document = Document::try_from(cursor.current()).map_err(|_| Error::Broken("a document"))?;
        all = all.merge(Kind::row(&document));
    }
    let seen: Vec<Arc<Field>> = match all.field("").data_type() {
        DataType::Struct(fields) => fields.iter().cloned().collect(),
        _ => Vec::new(),
    };
    let known = |name: &str| reading.types.find(name).map(|(_, told)| Arc::clone(told));
    let mut fields: Vec<Arc<Field>> = if reading.columns.is_empty() {
        let is_shown = |field: &&Arc<Field>| field.name() != ID || !reading.is_id_hidden;
        seen.iter().filter(is_shown).map(|field| known(field.name()).unwrap_or_else(|| Arc::clone(field))).collect()
    } else {
        let of = |name: &String| {
            let seen = || seen.iter().find(|field| field.name() == name).cloned();
            known(name).or_else(seen).unwrap_or_else(|| Arc::new(element::json_field(name)))
        };
        reading.columns.iter().map(of).collect()
    };
    for told in reading.types.iter() {
        if !fields.iter().any(|field| field.name() == told.name()) {
            fields.push(Arc::clone(told));
        }
    }
    Ok(Element::Object.schema(fields))
}

/// The types whose values compare with each other; none where comparing them would miss some.
fn bracket(id: &Bson) -> Option<u8> {
    match id {
        Bson::Double(number) if number.is_nan() => None,
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_) => Some(1),
        Bson::String(_) | Bson::Symbol(_) => Some(2),
        Bson::ObjectId(_) => Some(3),
        Bson::DateTime(_) => Some(4),
        Bson::Binary(_) => Some(5),
        _ => None,
    }
}

fn stored(id: &Bson) -> Option<Value> {
    serde_json::to_value(id).ok().filter(|id| id.to_string().len() <= ID_BYTES_MAX)
}

fn restored(id: &Value) -> Result<Bson, Error> {
    serde_json::from_value(id.clone()).map_err(|_| Error::Foreign("split"))
}

#[async_trait]
impl Source for MongoSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn takes_conditions(&self) -> bool {
        true
    }

    async fn plan(&self, parallelism: usize) -> Result<Vec<Split>, Failure> {
        let (parts, count) = self.cut(parallelism).await?;
        let rows = share(Some(count), parts.len());
        let split = |part: &Part| {
            let payload = serde_json::to_string(part).map_err(|_| Error::Broken("a split is JSON"))?;
            Ok(Split { payload, rows })
        };
        Ok(parts.iter().map(split).collect::<Result<_, Error>>()?)
    }

    async fn open(&self, split: &Split, position: Option<&Position>, request: ReadRequest) -> Result<Box<dyn Reader>, Failure> {
        let part: Part = serde_json::from_str(&split.payload).map_err(|_| Error::Foreign("split"))?;
        let place = Place::read(position)?;
        let schema = match &request.projection {
            None => Arc::clone(&self.schema),
            Some(indices) => Arc::new(self.schema.project(indices).map_err(|_| Error::Broken("a projected column"))?),
        };
        let cursor = self.cursor(&part, &place, schema.fields(), &request.conditions).await?;
        let pump = Pump { session: Arc::clone(&self.session), reading: Arc::clone(&self.reading), cursor, place, request, schema };
        Ok(Box::new(Ahead::start(|sender| pump.run(sender))))
    }
}

/// Reads documents and sends them on as batches, no faster than they are taken.
struct Pump {
    session: Arc<Session>,
    reading: Arc<Reading>,
    cursor: Cursor<RawDocumentBuf>,
    place: Place,
    request: ReadRequest,
    schema: SchemaRef,
}

impl Pump {
    async fn run(mut self, sender: mpsc::Sender<Sent>) {
        if let Err(failure) = self.pump(&sender).await {
            // Nobody waits for it where the reader is gone.
            sender.send(Err(failure)).await.ok();
        }
    }

    async fn pump(&mut self, sender: &mpsc::Sender<Sent>) -> Result<(), Failure> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        loop {
            let is_last = !self.session.ask("filter", "/filter", self.cursor.advance()).await?;
            if !is_last {
                let raw = self.cursor.current();
                bytes += raw.as_bytes().len();
                rows.push(Document::try_from(raw).map_err(|_| Error::Broken("a document"))?);
            }
            if !rows.is_empty() && (is_last || rows.len() >= self.request.batch_rows.max(1) || bytes >= self.request.batch_bytes.max(1)) {
                let batch = self.batch(std::mem::take(&mut rows))?;
                bytes = 0;
                if batch.num_rows() > 0 && sender.send(Ok((batch, self.place.position()?))).await.is_err() {
                    return Ok(());
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Documents as rows. Where one does not fit, each is tried alone.
    fn batch(&mut self, mut rows: Vec<Document>) -> Result<RecordBatch, Failure> {
        self.place.documents += rows.len() as u64;
        self.place.id = rows.last().and_then(|row| stored(row.get(ID)?));
        if let Ok(batch) = batch(&self.schema, &rows) {
            return Ok(batch);
        }
        let mut refused = Ok(());
        rows.retain(|row| match batch(&self.schema, std::slice::from_ref(row)) {
            _ if refused.is_err() => false,
            Ok(_) => true,
            Err(misfit) => {
                let id = row.get(ID).map(shown).unwrap_or_default();
                let place = format!("{}, collection {}, _id {id}", self.session.site, self.reading.collection.escape_debug());
                refused = self.request.rejects.reject(&place, &misfit.reason(), document_json(row).to_string().as_bytes());
                false
            }
        });
        refused?;
        Ok(batch(&self.schema, &rows).map_err(|_| Error::Broken("documents that fit"))?)
    }
}
