//! Writing: each partition into a collection of its own, with the id that each document will have; the commit copies them
//! into the target and writes down that it did.
//!
//! Without transactions a commit is no single step: who reads while it goes on sees a part of the rows. But every step can be
//! done again, since documents keep their ids: whatever crashes in between, in the end each row is there once. An append that
//! the target refuses is taken back; an upsert or an overwrite that it refuses is not.

use super::encode::documents;
use super::session::Session;
use crate::config::Mode;
use crate::config::document::Writing;
use crate::dial::Server;
use crate::error::{Error, Site};
use crate::sink::{COMMITS, Staged, check_any, check_keys, prefix, stage};
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use azora_connect::{Receipt, Sink, Token, Writer, WriterId};
use azora_spec::{Failure, JobId};
use mongodb::Collection;
use mongodb::bson::{Bson, Document, doc, oid::ObjectId};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The member by which documents are told apart.
const ID: &str = "_id";
/// The number of the document that says that a partition is whole.
const TRAILER: i64 = -1;
/// Most documents of one command.
const ROWS_MAX: usize = 1000;
/// About the most bytes of one command; servers take 48 MB.
const BYTES_MAX: usize = 8 << 20;
/// The server's word for a key that is there already.
const DUPLICATE: i32 = 11_000;

/// A collection that rows go to.
#[derive(Debug)]
pub(crate) struct MongoSink {
    server: Server,
    writing: Writing,
    session: OnceCell<Arc<Session>>,
}

impl MongoSink {
    pub(crate) const fn new(server: Server, writing: Writing) -> Self {
        Self { server, writing, session: OnceCell::const_new() }
    }

    /// The client, which finds its way back to a server that was gone.
    async fn session(&self) -> Result<&Arc<Session>, Failure> {
        self.session.get_or_try_init(|| async { Session::open(&self.server).await.map(Arc::new) }).await
    }

    fn commit_of<'a>(&'a self, session: &'a Session, job: JobId, epoch: u64) -> Commit<'a> {
        Commit { session, writing: &self.writing, prefix: prefix(job, epoch), mark: format!("{job}/{epoch}") }
    }
}

/// Whether the collection is there; that it is fit, where it is.
async fn find(session: &Session, writing: &Writing) -> Result<bool, Error> {
    if !session.has(&writing.collection).await? {
        if writing.create {
            return Ok(false);
        }
        session.find(&writing.collection).await?;
    }
    if writing.mode == Mode::Upsert && writing.keys != [ID] && !has_key(session, writing).await? {
        let message = format!("the collection has no unique index of exactly {}", writing.keys.join(", ").escape_debug());
        return Err(Error::Unfit { message, hint: "an upsert finds documents by _id or by a unique index", pointer: "/keys" });
    }
    Ok(true)
}

async fn has_key(session: &Session, writing: &Writing) -> Result<bool, Error> {
    let collection = session.database.collection::<Document>(&writing.collection);
    let mut indexes = session.ask("collection", "/collection", collection.list_indexes()).await?;
    let sorted = |mut names: Vec<String>| {
        names.sort_unstable();
        names
    };
    let wanted = sorted(writing.keys.clone());
    while session.ask("collection", "/collection", indexes.advance()).await? {
        let Ok(index) = indexes.deserialize_current() else { continue };
        let is_whole = |options: &mongodb::options::IndexOptions| {
            options.unique == Some(true) && options.partial_filter_expression.is_none() && options.sparse != Some(true)
        };
        if index.options.as_ref().is_some_and(is_whole) && sorted(index.keys.keys().cloned().collect()) == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

#[async_trait]
impl Sink for MongoSink {
    async fn check(&self) -> Result<(), Failure> {
        find(self.session().await?, &self.writing).await?;
        Ok(())
    }

    async fn open(&self, id: WriterId, schema: SchemaRef) -> Result<Box<dyn Writer>, Failure> {
        check_any(&self.server.site, &schema)?;
        check_names(&self.server.site, &schema)?;
        let session = Arc::clone(self.session().await?);
        find(&session, &self.writing).await?;
        let name = stage(id);
        drop_all(&session, std::slice::from_ref(&name)).await?;
        Ok(Box::new(MongoWriter { session, stage: name, keys: self.writing.keys.clone(), rows: 0 }))
    }

    async fn commit(&self, job: JobId, epoch: u64, _: SchemaRef, tokens: &[Token]) -> Result<Receipt, Failure> {
        let staged = Staged::read(tokens, job, epoch)?;
        let rows = staged.iter().map(|staged| staged.rows).sum();
        let session = self.session().await?;
        let moved = self.commit_of(session, job, epoch).run(&staged, rows).await;
        moved.map_err(|error| error.of_table(&self.writing.collection))?;
        let connection = &self.server.connection;
        let output = format!("mongodb://{}:{}/{}/{}", connection.host, connection.port, connection.database, self.writing.collection);
        Ok(Receipt { rows, bytes: 0, outputs: vec![output] })
    }

    async fn abort(&self, job: JobId, epoch: u64, _: &[Token]) -> Result<(), Failure> {
        let session = self.session().await?;
        Ok(self.commit_of(session, job, epoch).abort().await?)
    }
}

/// Refuses names that the server takes for a path or an operator.
fn check_names(site: &Site, schema: &Schema) -> Result<(), Error> {
    let is_odd = |name: &str| name.is_empty() || name.starts_with('$') || name.contains(['.', '\0']);
    match schema.fields().iter().find(|field| is_odd(field.name())) {
        Some(field) => {
            let reason = format!("a document's member cannot be called '{}'", field.name().escape_debug());
            Err(Error::Columns { site: site.clone(), reason })
        }
        None => Ok(()),
    }
}

async fn drop_all(session: &Session, names: &[String]) -> Result<(), Error> {
    for name in names {
        let collection = session.database.collection::<Document>(name);
        session.ask("collection", "", collection.drop()).await?;
    }
    Ok(())
}

/// How far a commit is, as it is written down beside the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Begun,
    Done,
}

/// One commit, from its first try to its last.
struct Commit<'a> {
    session: &'a Session,
    writing: &'a Writing,
    prefix: String,
    mark: String,
}

impl Commit<'_> {
    async fn run(&self, staged: &[Staged], rows: u64) -> Result<(), Error> {
        let state = self.state().await?;
        if state != State::Done {
            self.make_target().await?;
            if state == State::New && self.writing.mode == Mode::Append {
                self.check_absent(staged).await?;
            }
            let count = i64::try_from(rows).unwrap_or(i64::MAX);
            self.write_down(doc! {"state": "begun", "rows": count}).await?;
            if self.writing.mode == Mode::Overwrite {
                self.remove(Document::new()).await?;
            }
            for part in staged {
                if let Err(error) = self.move_one(part, state).await {
                    // What was lost on the way is done again; what the target refuses never will be.
                    if matches!(error, Error::Constraint { .. } | Error::Refused { .. }) {
                        self.take_back(staged.iter().map(|part| part.table.clone()).collect()).await?;
                    }
                    return Err(error);
                }
            }
            self.write_down(doc! {"state": "done", "rows": count, "committedAt": mongodb::bson::DateTime::now()}).await?;
        }
        drop_all(self.session, &self.stages().await?).await
    }

    async fn abort(&self) -> Result<(), Error> {
        let stages = self.stages().await?;
        if self.state().await? == State::Begun {
            self.take_back(stages.clone()).await?;
        }
        drop_all(self.session, &stages).await
    }

    async fn state(&self) -> Result<State, Error> {
        let commits = self.session.database.collection::<Document>(COMMITS);
        let found = self.session.ask("collection", "", commits.find_one(doc! {ID: &self.mark})).await?;
        Ok(match found.as_ref().map(|mark| mark.get_str("state")) {
            None => State::New,
            Some(Ok("done")) => State::Done,
            Some(_) => State::Begun,
        })
    }

    async fn write_down(&self, what: Document) -> Result<(), Error> {
        let update = doc! {"q": {ID: &self.mark}, "u": {"$set": what}, "upsert": true};
        self.session.checked("statement", doc! {"update": COMMITS, "updates": [update]}).await
    }

    async fn stages(&self) -> Result<Vec<String>, Error> {
        // Names of stages are letters, digits and underscores.
        let names = self.session.database.list_collection_names().filter(doc! {"name": {"$regex": format!("^{}", self.prefix)}});
        self.session.ask("collection", "", names).await
    }

    /// Makes the collection where it is not there, with an index for the keys of an upsert.
    async fn make_target(&self) -> Result<(), Error> {
        if find(self.session, self.writing).await? {
            return Ok(());
        }
        let name = &self.writing.collection;
        if let Err(error) = self.session.checked("collection", doc! {"create": name}).await
            && !self.session.has(name).await?
        {
            return Err(error);
        }
        if self.writing.mode == Mode::Upsert && self.writing.keys != [ID] {
            let key: Document = self.writing.keys.iter().map(|key| (key.clone(), Bson::Int32(1))).collect();
            let index = doc! {"key": key, "name": "azora_keys", "unique": true};
            self.session.checked("index", doc! {"createIndexes": name, "indexes": [index]}).await?;
        }
        Ok(())
    }

    async fn remove(&self, which: Document) -> Result<(), Error> {
        let delete = doc! {"q": which, "limit": 0};
        self.session.checked("rows", doc! {"delete": &self.writing.collection, "deletes": [delete]}).await
    }

    /// That no document of the target has an id of the rows, so that those that have one later are ours.
    async fn check_absent(&self, staged: &[Staged]) -> Result<(), Error> {
        let target = self.target();
        for part in staged {
            let mut chunks = Chunks::open(self.session, &part.table, doc! {"given": true}).await?;
            while let Some(rows) = chunks.next().await? {
                let ids: Vec<Bson> = rows.iter().filter_map(|row| row.get(ID).cloned()).collect();
                let found = self.session.ask("rows", "", target.find_one(doc! {ID: {"$in": ids}})).await?;
                if let Some(id) = found.as_ref().and_then(|found| found.get(ID)) {
                    return Err(self.constraint(format!("a document with the _id {} is there already", super::array::shown(id))));
                }
            }
        }
        Ok(())
    }

    fn target(&self) -> Collection<Document> {
        self.session.database.collection(&self.writing.collection)
    }

    fn constraint(&self, reason: String) -> Error {
        Error::Constraint { site: self.session.site.clone(), table: self.writing.collection.escape_debug().to_string(), reason }
    }

    async fn move_one(&self, part: &Staged, state: State) -> Result<(), Error> {
        let mut chunks = Chunks::open(self.session, &part.table, Document::new()).await?;
        let mut found = 0;
        while let Some(rows) = chunks.next().await? {
            found += rows.len() as u64;
            match self.writing.mode {
                Mode::Upsert => self.upsert(rows).await?,
                Mode::Append | Mode::Overwrite => self.insert(rows, state).await?,
            }
        }
        if found == part.rows { Ok(()) } else { Err(Error::Staged { site: self.session.site.clone(), found, want: part.rows }) }
    }

    async fn insert(&self, rows: Vec<Document>, state: State) -> Result<(), Error> {
        let command = doc! {"insert": &self.writing.collection, "documents": rows.clone(), "ordered": false};
        for refusal in self.session.command("rows", command).await? {
            let row = rows.get(refusal.index).ok_or(Error::Broken("a refused row"))?;
            // An earlier try of this commit may have come this far.
            if refusal.code == DUPLICATE && state == State::Begun && self.is_there(row).await? {
                continue;
            }
            return Err(self.constraint(refusal.message));
        }
        Ok(())
    }

    async fn is_there(&self, row: &Document) -> Result<bool, Error> {
        let target = self.target();
        let Some(id) = row.get(ID).cloned() else { return Ok(false) };
        let found = self.session.ask("rows", "", target.find_one(doc! {ID: id})).await?;
        // Bytes, since a number that is none is not even equal to itself.
        Ok(found.is_some_and(|found| found.to_vec().ok() == row.to_vec().ok()))
    }

    async fn upsert(&self, rows: Vec<Document>) -> Result<(), Error> {
        let update = |mut row: Document| {
            let by: Document = self.writing.keys.iter().map(|key| (key.clone(), row.get(key).cloned().unwrap_or(Bson::Null))).collect();
            if by.contains_key(ID) {
                row.remove(ID);
            }
            Bson::Document(doc! {"q": by, "u": {"$set": row}, "upsert": true})
        };
        let updates: Vec<Bson> = rows.into_iter().map(update).collect();
        let command = doc! {"update": &self.writing.collection, "updates": updates, "ordered": true};
        match self.session.command("rows", command).await?.into_iter().next() {
            None => Ok(()),
            Some(refusal) => Err(self.constraint(refusal.message)),
        }
    }

    /// Removes the rows that a commit has added so far, and what was written down of it.
    async fn take_back(&self, stages: Vec<String>) -> Result<(), Error> {
        if self.writing.mode != Mode::Upsert {
            for stage in stages {
                let mut chunks = Chunks::open(self.session, &stage, Document::new()).await?;
                while let Some(rows) = chunks.next().await? {
                    let ids: Vec<Bson> = rows.iter().filter_map(|row| row.get(ID).cloned()).collect();
                    self.remove(doc! {ID: {"$in": ids}}).await?;
                }
            }
        }
        let delete = doc! {"q": {ID: &self.mark}, "limit": 1};
        self.session.checked("statement", doc! {"delete": COMMITS, "deletes": [delete]}).await
    }
}

/// The documents of a stage, some at a time, in order.
struct Chunks<'a> {
    session: &'a Session,
    cursor: mongodb::Cursor<Document>,
}

impl<'a> Chunks<'a> {
    async fn open(session: &'a Session, stage: &str, mut which: Document) -> Result<Self, Error> {
        which.insert(ID, doc! {"$gt": TRAILER});
        let collection = session.database.collection::<Document>(stage);
        let cursor = session.ask("rows", "", collection.find(which).sort(doc! {ID: 1})).await?;
        Ok(Self { session, cursor })
    }

    async fn next(&mut self) -> Result<Option<Vec<Document>>, Error> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while rows.len() < ROWS_MAX && bytes < BYTES_MAX && self.session.ask("rows", "", self.cursor.advance()).await? {
            bytes += self.cursor.current().as_bytes().len();
            let mut staged = self.cursor.deserialize_current().map_err(|_| Error::Broken("a staged row"))?;
            match staged.remove("row") {
                Some(Bson::Document(row)) => rows.push(row),
                _ => return Err(Error::Broken("a staged row")),
            }
        }
        Ok(if rows.is_empty() { None } else { Some(rows) })
    }
}

/// One partition on its way into its collection.
#[derive(Debug)]
struct MongoWriter {
    session: Arc<Session>,
    stage: String,
    keys: Vec<String>,
    rows: i64,
}

#[async_trait]
impl Writer for MongoWriter {
    async fn write(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        check_keys(&batch, &self.keys)?;
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        for mut row in documents(&batch)? {
            let given = row.get(ID).is_some_and(|id| *id != Bson::Null);
            // An upsert by other keys keeps the ids of the documents that it finds.
            if !given {
                row.remove(ID);
                if self.keys.is_empty() {
                    let mut with_id = doc! {ID: ObjectId::new()};
                    with_id.extend(row);
                    row = with_id;
                }
            }
            let staged = doc! {ID: self.rows, "given": given, "row": row};
            bytes += staged.to_vec().map(|bytes| bytes.len()).unwrap_or_default();
            chunk.push(Bson::Document(staged));
            self.rows += 1;
            if chunk.len() == ROWS_MAX || bytes >= BYTES_MAX {
                self.send(std::mem::take(&mut chunk)).await?;
                bytes = 0;
            }
        }
        if !chunk.is_empty() {
            self.send(chunk).await?;
        }
        Ok(())
    }

    async fn prepare(mut self: Box<Self>) -> Result<Token, Failure> {
        // Durable, and with it everything before.
        self.send(vec![Bson::Document(doc! {ID: TRAILER, "rows": self.rows})]).await?;
        Ok(Staged { table: self.stage.clone(), rows: self.rows.unsigned_abs() }.token()?)
    }
}

impl MongoWriter {
    async fn send(&mut self, documents: Vec<Bson>) -> Result<(), Error> {
        self.session.checked("rows", doc! {"insert": &self.stage, "documents": documents, "ordered": true}).await
    }
}
