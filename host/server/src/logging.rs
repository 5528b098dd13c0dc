//! Log lines on stderr, as text or JSON. What is worth a line is decided where it happens.

use crate::config::{Config, LogFormat};
use crate::error::{Error, Result};
use std::io::{IsTerminal, stderr};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// Starts logging for this process. Only the first call has an effect.
///
/// # Errors
/// [`Error::ConfigValue`] when the filter cannot be read.
pub fn init(config: &Config) -> Result<()> {
    let filter = EnvFilter::try_new(&config.log_filter).map_err(|_| Error::ConfigValue {
        origin: "the log filter".to_owned(),
        value: config.log_filter.clone(),
        expected: "a filter such as info or azora_jobs=debug".to_owned(),
    })?;
    // These write whole requests at their most talkative, tokens and all.
    let quiet = ["tungstenite=info", "tokio_tungstenite=info"].into_iter().filter_map(|directive| directive.parse().ok());
    let filter = quiet.fold(filter, EnvFilter::add_directive);
    let lines = fmt().with_env_filter(filter).with_writer(stderr);
    let is_first = match config.log_format {
        LogFormat::Text => lines.with_ansi(stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if is_first.is_err() {
        tracing::debug!("logging was started before");
    }
    Ok(())
}
