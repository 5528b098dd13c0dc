//! Any value as the JSON that a column of values of several types holds. What such columns are is said in
//! `azora_connect::element`.

use azora_connect::element::{Element, VALUE};
use azora_connect::json::Elements;
use datafusion::arrow::array::{Array, RecordBatch, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// A column, of which `field` says what it is, as JSON. Null stays null.
pub(crate) fn as_json(column: Expr, field: &Field) -> Expr {
    let field = field.clone().with_name(VALUE);
    ScalarUDF::new_from_impl(AsJson { field, signature: Signature::user_defined(Volatility::Immutable) }).call(vec![column])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AsJson {
    field: Field,
    signature: Signature,
}

impl ScalarUDFImpl for AsJson {
    fn name(&self) -> &str {
        "as_json"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(values) = args.args.first() else { return internal_err!("as_json takes a value") };
        let values = values.to_array(args.number_rows)?;
        let field = Field::new(VALUE, values.data_type().clone(), true).with_metadata(self.field.metadata().clone());
        let schema = Element::Scalar.schema(vec![field]);
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::clone(&values)])?;
        let elements = Elements::of(&batch, &schema);
        let (mut texts, mut text) = (StringBuilder::new(), Vec::new());
        for row in 0..values.len() {
            text.clear();
            elements.row(&mut text, row);
            let json = std::str::from_utf8(&text).map_err(|error| DataFusionError::External(Box::new(error)))?;
            texts.append_option((!values.is_null(row)).then_some(json));
        }
        Ok(ColumnarValue::Array(Arc::new(texts.finish())))
    }
}
