//! The bodies, as JSON Schema 2020-12, which OpenAPI 3.1 uses as it is.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};
use shared::problem::Problem;

use crate::handlers::orders::Accepted;
use crate::request::OrderRequest;

/// What `components.schemas` holds: what is read, and what is written.
pub(super) fn components() -> Value {
    let settings = || {
        SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
    };
    let mut read = settings().for_deserialize().into_generator();
    let _reference = read.subschema_for::<OrderRequest>();
    let mut written = settings().for_serialize().into_generator();
    let _reference = written.subschema_for::<Accepted>();
    let _reference = written.subschema_for::<Problem>();
    let schemas: Map<_, _> =
        read.take_definitions(true).into_iter().chain(written.take_definitions(true)).collect();
    schemas.into()
}
