//! What connectors may ask of the host, each only where the operator granted it: HTTP, the time, random bytes, a small
//! store, secrets. Without the grant the job fails and says which is missing.
//!
//! Off WebAssembly there is no host: requests fail, the store is empty and there is no secret, so that plain tests still
//! compile.

/// Requests to granted hosts. TLS, redirects, size and time are bounded by the host.
pub mod http {
    use crate::failure::{Failure, Result};
    use crate::json::Json;

    /// A request.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Request {
        method: String,
        url: String,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    }

    /// An answer, whatever its status.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Response {
        /// For example 200.
        pub status: u16,
        /// In the order in which they came.
        pub headers: Vec<(String, String)>,
        /// At most 16 MiB.
        pub body: Vec<u8>,
    }

    impl Request {
        /// A request of that method.
        pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
            Self { method: method.into(), url: url.into(), headers: Vec::new(), body: Vec::new() }
        }

        /// Reads.
        pub fn get(url: impl Into<String>) -> Self {
            Self::new("GET", url)
        }

        /// Sends something.
        pub fn post(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
            Self::new("POST", url).body(body)
        }

        /// Puts something in a place.
        pub fn put(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
            Self::new("PUT", url).body(body)
        }

        /// Removes.
        pub fn delete(url: impl Into<String>) -> Self {
            Self::new("DELETE", url)
        }

        /// The same with a header.
        #[must_use]
        pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
            self.headers.push((name.into(), value.into()));
            self
        }

        /// The same with a token, where there is one.
        #[must_use]
        pub fn bearer(self, token: Option<&str>) -> Self {
            match token {
                Some(token) => self.header("authorization", format!("Bearer {token}")),
                None => self,
            }
        }

        /// The same with a body.
        #[must_use]
        pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
            self.body = body.into();
            self
        }

        /// Sends it and waits.
        ///
        /// # Errors
        /// [`Failure::retryable`] where no answer came.
        pub fn send(self) -> Result<Response> {
            #[cfg(target_arch = "wasm32")]
            {
                use crate::bindings::azora::plugin::http_client as wire;
                let header = |(name, value): (String, String)| wire::Header { name, value };
                let headers: Vec<_> = self.headers.into_iter().map(header).collect();
                let request = wire::Request { method: self.method, url: self.url, headers, body: self.body };
                let answer = wire::send(&request).map_err(Failure::retryable)?;
                let headers = answer.headers.into_iter().map(|header| (header.name, header.value)).collect();
                Ok(Response { status: answer.status, headers, body: answer.body })
            }
            #[cfg(not(target_arch = "wasm32"))]
            Err(Failure::retryable(format!("{} {}: there is no host off WebAssembly", self.method, self.url)))
        }
    }

    impl Response {
        /// The first header of a name, in any case.
        #[must_use]
        pub fn header(&self, name: &str) -> Option<&str> {
            self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
        }

        /// The answer itself where the status is of the 200s.
        ///
        /// # Errors
        /// [`Failure::retryable`] for 408, 425, 429 and the 500s, [`Failure::invalid_input`] for the rest; with the
        /// beginning of the body.
        pub fn ok(self) -> Result<Self> {
            if (200..300).contains(&self.status) {
                return Ok(self);
            }
            let text = String::from_utf8_lossy(&self.body);
            let said: String = text.chars().take(200).collect();
            let message = format!("the server answered {}: {said}", self.status);
            Err(match self.status {
                408 | 425 | 429 | 500.. => Failure::retryable(message),
                _ => Failure::invalid_input(message),
            })
        }

        /// The body as text.
        ///
        /// # Errors
        /// [`Failure::invalid_input`] where it is none.
        pub fn text(&self) -> Result<&str> {
            std::str::from_utf8(&self.body).map_err(|_| Failure::invalid_input("the answer is not UTF-8"))
        }

        /// The body as JSON.
        ///
        /// # Errors
        /// [`Failure::invalid_input`] where it is none.
        pub fn json(&self) -> Result<Json> {
            Json::parse(self.text()?)
        }
    }
}

/// The time.
pub mod clock {
    use std::time::Duration;

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn now_ms() -> i64 {
        #[cfg(target_arch = "wasm32")]
        return crate::bindings::azora::plugin::clock::now_ms();
        #[cfg(not(target_arch = "wasm32"))]
        std::time::UNIX_EPOCH.elapsed().map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Time since some fixed moment; never goes back.
    #[must_use]
    pub fn monotonic() -> Duration {
        #[cfg(target_arch = "wasm32")]
        return Duration::from_nanos(crate::bindings::azora::plugin::clock::monotonic_ns());
        #[cfg(not(target_arch = "wasm32"))]
        std::time::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO)
    }
}

/// Random bytes.
pub mod random {
    /// So many, at most 64 KiB; none off WebAssembly.
    #[must_use]
    pub fn bytes(count: u32) -> Vec<u8> {
        #[cfg(target_arch = "wasm32")]
        return crate::bindings::azora::plugin::random::bytes(count);
        #[cfg(not(target_arch = "wasm32"))]
        vec![0; count as usize]
    }
}

/// What the plugin keeps between jobs, shared by all of its jobs and versions.
pub mod state {
    use crate::failure::Result;

    /// The value of a key.
    #[must_use]
    pub fn get(key: &str) -> Option<Vec<u8>> {
        #[cfg(target_arch = "wasm32")]
        return crate::bindings::azora::plugin::key_value::get(key);
        #[cfg(not(target_arch = "wasm32"))]
        {
            let _ = key;
            None
        }
    }

    /// Keeps a value of at most 64 KiB; durable when this returns.
    ///
    /// # Errors
    /// Where the grant leaves no room.
    pub fn set(key: &str, value: &[u8]) -> Result<()> {
        #[cfg(target_arch = "wasm32")]
        return crate::bindings::azora::plugin::key_value::set(key, value).map_err(crate::Failure::user);
        #[cfg(not(target_arch = "wasm32"))]
        {
            let _ = (key, value);
            Err(crate::Failure::unsupported("there is no host off WebAssembly"))
        }
    }

    /// Forgets a key.
    pub fn delete(key: &str) {
        #[cfg(target_arch = "wasm32")]
        crate::bindings::azora::plugin::key_value::delete(key);
        #[cfg(not(target_arch = "wasm32"))]
        let _ = key;
    }
}

/// Secrets of the server, by name. They must not get into splits, positions and tokens; the host looks.
pub mod secrets {
    use crate::failure::{Failure, Result};

    /// A secret that was granted; none where it was not.
    #[must_use]
    pub fn get(name: &str) -> Option<String> {
        #[cfg(target_arch = "wasm32")]
        return crate::bindings::azora::plugin::secrets::get(name);
        #[cfg(not(target_arch = "wasm32"))]
        {
            let _ = name;
            None
        }
    }

    /// A secret that must be there.
    ///
    /// # Errors
    /// [`Failure::invalid_input`] that names it.
    pub fn required(name: &str) -> Result<String> {
        get(name).ok_or_else(|| Failure::invalid_input(format!("the secret '{name}' is not granted, or the server has none of this name")))
    }
}
