//! Distances on the globe: plain numbers in and out, and a filter with a configuration.

use azora_guest::prelude::*;

const EARTH_RADIUS_KM: f64 = 6371.0088;

/// Great-circle distance of two points in kilometres; latitudes and longitudes in degrees.
#[map]
pub fn haversine(lat1: f64, lon1: f64, lat2: f64, lon2: f64) -> f64 {
    let (from, to) = (lat1.to_radians(), lat2.to_radians());
    let (north, east) = ((to - from) / 2.0, (lon2 - lon1).to_radians() / 2.0);
    let chord = north.sin().powi(2) + from.cos() * to.cos() * east.sin().powi(2);
    2.0 * EARTH_RADIUS_KM * chord.sqrt().min(1.0).asin()
}

/// A circle on the globe.
#[derive(Config)]
pub struct Circle {
    /// Latitude of its middle, in degrees.
    pub lat: f64,
    /// Longitude of its middle, in degrees.
    pub lon: f64,
    /// Radius in kilometres.
    #[config(default = 10.0)]
    pub km: f64,
}

/// Keeps the points inside of a circle.
#[filter]
pub fn within(lat: f64, lon: f64, #[config] circle: &Circle) -> bool {
    haversine(lat, lon, circle.lat, circle.lon) <= circle.km
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn berlin_to_paris() {
        let distance = haversine(52.52, 13.405, 48.8566, 2.3522);
        assert!((distance - 877.46).abs() < 0.1, "{distance}");
        assert_eq!(haversine(1.0, 2.0, 1.0, 2.0), 0.0);
    }

    #[test]
    fn circles_have_an_edge() {
        let circle = Circle { lat: 52.52, lon: 13.405, km: 30.0 };
        assert!(within(52.39, 13.06, &circle));
        assert!(!within(48.85, 2.35, &circle));
    }
}
