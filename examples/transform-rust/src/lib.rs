//! Functions that jobs call as `{"plugin": "textkit@1.0.0", "function": "…"}`. Each file shows one kind of them.

mod money;
mod names;
mod numbers;
mod places;
mod text;
mod time;

use azora_guest::prelude::*;

plugin! {
    functions: [
        places::haversine,
        places::within,
        text::fnv1a,
        text::title_case,
        text::score,
        text::tokens,
        text::clean,
        text::profile,
        names::display_name,
        money::gross,
        time::bucket,
        time::Sessions,
    ],
    aggregates: [numbers::GeometricMean],
}
