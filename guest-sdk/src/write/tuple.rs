//! Tuples: structs whose fields are `_1`, `_2`, ….

use super::{Builder, Parts, Write};
use crate::schema::{DataType, Element, Field, TUPLE_KEY};
use crate::validity::ValidityBuilder;

macro_rules! tuples {
    ($($builder:ident ($($part:ident $at:tt $name:literal),+);)*) => {$(
        /// Collects tuples of this many parts.
        #[derive(Debug)]
        pub struct $builder<$($part: Write),+> {
            validity: ValidityBuilder,
            parts: ($($part::Builder,)+),
        }

        impl<$($part: Write),+> Builder for $builder<$($part),+> {
            fn push_null(&mut self) {
                self.validity.push(false);
                $(self.parts.$at.push_null();)+
            }

            fn finish(self, nullable: bool, into: &mut Parts) {
                into.node(self.validity, nullable);
                $(self.parts.$at.finish($part::NULLABLE, into);)+
            }

            fn finish_columns(self, nullable: bool, into: &mut Parts) {
                $(self.parts.$at.finish(nullable || $part::NULLABLE, into);)+
            }
        }

        impl<$($part: Write),+> Write for ($($part,)+) {
            type Builder = $builder<$($part),+>;

            fn data_type() -> DataType {
                DataType::Struct(vec![$($part::field($name)),+])
            }

            fn element() -> Element {
                Element::Tuple
            }

            fn field(name: &str) -> Field {
                let mut field = Field::new(name, Self::data_type(), Self::NULLABLE);
                field.metadata.push((TUPLE_KEY.to_owned(), "true".to_owned()));
                field
            }

            fn builder(rows: usize) -> Self::Builder {
                $builder { validity: ValidityBuilder::default(), parts: ($($part::builder(rows),)+) }
            }

            fn append(self, builder: &mut Self::Builder) {
                builder.validity.push(true);
                $(self.$at.append(&mut builder.parts.$at);)+
            }
        }
    )*};
}

tuples! {
    Tuple2 (A 0 "_1", B 1 "_2");
    Tuple3 (A 0 "_1", B 1 "_2", C 2 "_3");
    Tuple4 (A 0 "_1", B 1 "_2", C 2 "_3", D 3 "_4");
    Tuple5 (A 0 "_1", B 1 "_2", C 2 "_3", D 3 "_4", E 4 "_5");
    Tuple6 (A 0 "_1", B 1 "_2", C 2 "_3", D 3 "_4", E 4 "_5", F 5 "_6");
}
