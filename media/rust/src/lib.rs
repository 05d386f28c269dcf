//! `media._engine`: the export list. What each name does is said in media/_engine.pyi.

mod engine;
mod event;

use pyo3::prelude::*;

pyo3::create_exception!(_engine, EngineError, pyo3::exceptions::PyException, "The engine can't do that.");

#[pymodule]
mod _engine {
    #[pymodule_export]
    use super::EngineError;
    #[pymodule_export]
    use super::engine::Engine;
    #[pymodule_export]
    use super::event::Event;

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("SOURCE_HASH", env!("SOURCE_HASH"))?;
        module.add("BUILD_PROFILE", env!("BUILD_PROFILE"))
    }
}
