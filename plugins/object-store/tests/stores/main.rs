//! The connectors against real servers: S3, Google Cloud Storage and Azure Blob Storage.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests end a test as its assertions do")]

mod dead;
mod fetched;
mod reading;
mod server;
mod writing;

/// Runs functions of a kind of store as tests of every kind.
#[macro_export]
macro_rules! on_every_store {
    ($($name:ident),*) => {
        $crate::on_every_store!(@ s3 S3 $($name)*);
        $crate::on_every_store!(@ gcs Gcs $($name)*);
        $crate::on_every_store!(@ azure Azure $($name)*);
    };
    (@ $module:ident $kind:ident $($name:ident)*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::$name($crate::server::Kind::$kind).await;
                }
            )*
        }
    };
}
