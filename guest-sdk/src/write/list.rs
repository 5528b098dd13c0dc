//! Lists.

use super::{Builder, Parts, Write};
use crate::read::Item;
use crate::schema::{DataType, Field};
use crate::validity::ValidityBuilder;

/// Collects lists.
#[derive(Debug)]
pub struct ListBuilder<T: Write> {
    offsets: Vec<u8>,
    len: u32,
    items: T::Builder,
    validity: ValidityBuilder,
}

impl<T: Write> ListBuilder<T> {
    /// Adds a list.
    pub fn push(&mut self, items: impl IntoIterator<Item = T>) {
        for item in items {
            item.append(&mut self.items);
            self.len += 1;
        }
        self.end_row(true);
    }

    fn end_row(&mut self, is_valid: bool) {
        self.offsets.extend_from_slice(&self.len.to_le_bytes());
        self.validity.push(is_valid);
    }
}

impl<T: Write> Builder for ListBuilder<T> {
    fn push_null(&mut self) {
        self.end_row(false);
    }

    fn finish(self, nullable: bool, into: &mut Parts) {
        into.node(self.validity, nullable);
        into.buffer(self.offsets);
        self.items.finish(T::NULLABLE, into);
    }
}

impl<T: Write + Item> Write for Vec<T> {
    type Builder = ListBuilder<T>;

    fn data_type() -> DataType {
        DataType::List(Box::new(Field { name: "item".to_owned(), ..T::field("item") }))
    }

    fn builder(rows: usize) -> Self::Builder {
        ListBuilder { offsets: vec![0; 4], len: 0, items: T::builder(rows), validity: ValidityBuilder::default() }
    }

    fn append(self, builder: &mut Self::Builder) {
        builder.push(self);
    }
}
