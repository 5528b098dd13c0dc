//! What is not asked for is not fetched: columns, and groups of rows whose extremes say that they cannot match. Counted are the
//! bytes that the server sends.

use crate::server::{Kind, Server};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use azora_connect::{Compare, Condition, Constant, Outcome, ReadRequest, Source};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows of one group.
const GROUP_ROWS: usize = 20_000;

/// Counts the bytes that a server sends, on the way to its client.
struct Meter {
    port: u16,
    bytes: Arc<AtomicU64>,
}

impl Meter {
    fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let meter = Self { port: listener.local_addr().expect("an address").port(), bytes: Arc::default() };
        let bytes = Arc::clone(&meter.bytes);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let upstream = TcpStream::connect(server).expect("the server");
                let (mut from, mut to) = (client.try_clone().expect("a handle"), upstream.try_clone().expect("a handle"));
                std::thread::spawn(move || std::io::copy(&mut from, &mut to).map(|_| to.shutdown(std::net::Shutdown::Write)));
                let (mut from, mut to, bytes) = (upstream, client, Arc::clone(&bytes));
                std::thread::spawn(move || {
                    let mut buffer = vec![0; 64 << 10];
                    while let Ok(read @ 1..) = from.read(&mut buffer) {
                        bytes.fetch_add(read as u64, Ordering::Relaxed);
                        if to.write_all(&buffer[..read]).is_err() {
                            return;
                        }
                    }
                    to.shutdown(std::net::Shutdown::Both).ok();
                });
            }
        });
        meter
    }

    /// What was sent since the last time.
    fn take(&self) -> u64 {
        self.bytes.swap(0, Ordering::Relaxed)
    }
}

/// Numbers beside texts that do not compress, in four groups.
fn wide(id: impl Fn(i64) -> i64) -> Vec<u8> {
    let rows = 4 * GROUP_ROWS as i64;
    let random = |row: u64| (0..20).map(|at| format!("{:x}", (row * 31 + at).wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect::<String>();
    let columns: [(&str, ArrayRef); 2] = [
        ("id", Arc::new(Int64Array::from_iter_values((0..rows).map(id)))),
        ("wide", Arc::new(StringArray::from_iter_values((0..rows).map(|row| random(row as u64))))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(GROUP_ROWS)).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    bytes
}

/// Rows read, and bytes sent for them.
async fn cost(read: &Arc<dyn Source>, meter: &Meter, parallelism: usize, request: ReadRequest) -> (usize, u64) {
    meter.take();
    let mut count = 0;
    for split in read.plan(parallelism).await.expect("splits") {
        let mut reader = read.open(&split, None, request.clone()).await.expect("a reader");
        while let Outcome::Batch(batch, _) = reader.read().await.expect("rows") {
            count += batch.num_rows();
        }
    }
    (count, meter.take())
}

fn all() -> ReadRequest {
    ReadRequest::new(8192, 8 << 20)
}

async fn columns_and_groups(kind: Kind) {
    let server = Server::start(kind);
    server.put("wide.parquet", &wide(|row| row));
    let meter = Meter::before(server.address());
    let through = json!({"key": "wide.parquet", "endpoint": server.endpoint(meter.port)});
    let read = server.source(through).await.expect("a source");
    let mut fetched = Vec::new();
    for projection in [vec![0, 1], vec![0], vec![]] {
        let (count, bytes) = cost(&read, &meter, 1, ReadRequest { projection: Some(projection), ..all() }).await;
        assert_eq!(count, 4 * GROUP_ROWS);
        fetched.push(bytes);
    }
    assert!(fetched[0] > 10_000_000, "{fetched:?}");
    assert!(fetched[1] * 8 < fetched[0] && fetched[2] * 20 < fetched[0], "{fetched:?}");

    assert!(read.takes_conditions());
    let check = async |conditions: &[(Compare, i64)], groups: usize, rows: usize| {
        let condition = |(compare, value): &(Compare, i64)| Condition { column: 0, compare: *compare, value: Constant::Integer(*value) };
        let request = ReadRequest { conditions: conditions.iter().map(condition).collect(), ..all() };
        for parallelism in [1, 3] {
            let (count, bytes) = cost(&read, &meter, parallelism, request.clone()).await;
            assert_eq!(count, rows, "{conditions:?}");
            // Each of four groups is a quarter, and the footers are read again by every split.
            let share = fetched[0] * groups as u64 / 4 + fetched[0] / 20;
            assert!(bytes < share, "{conditions:?}: {bytes} bytes of {} for {groups} of four groups", fetched[0]);
        }
    };
    let rows = GROUP_ROWS as i64;
    check(&[(Compare::Equal, 0)], 1, 1).await;
    check(&[(Compare::AtLeast, rows), (Compare::Less, 2 * rows)], 1, GROUP_ROWS).await;
    check(&[(Compare::More, 2 * rows)], 2, 2 * GROUP_ROWS - 1).await;
    check(&[(Compare::AtLeast, 4 * rows)], 0, 0).await;
    // The extremes of every group leave it in, and none of its rows is asked for: the numbers alone are fetched.
    server.put("odd.parquet", &wide(|row| if row % 2 == 0 { row } else { -row }));
    let read = server.source(json!({"key": "odd.parquet", "endpoint": server.endpoint(meter.port)})).await.expect("a source");
    let condition = Condition { column: 0, compare: Compare::Equal, value: Constant::Integer(1) };
    let (count, bytes) = cost(&read, &meter, 1, ReadRequest { conditions: vec![condition], ..all() }).await;
    assert_eq!(count, 0);
    assert!(bytes * 8 < fetched[0], "{bytes} of {fetched:?}");
}

/// Objects of folders that cannot match are not asked for at all.
async fn folders(kind: Kind) {
    let server = Server::start(kind);
    let body = format!("{{\"text\":\"{}\"}}\n", "x".repeat(200_000));
    for day in 1..=4 {
        server.put(&format!("f/day={day}/a.ndjson"), body.as_bytes());
    }
    let meter = Meter::before(server.address());
    let read = server.source(json!({"key": "f/", "endpoint": server.endpoint(meter.port)})).await.expect("a source");
    let (count, all_bytes) = cost(&read, &meter, 1, all()).await;
    assert_eq!(count, 4);
    let condition = Condition { column: 1, compare: Compare::More, value: Constant::Integer(3) };
    let (count, bytes) = cost(&read, &meter, 1, ReadRequest { conditions: vec![condition], ..all() }).await;
    assert_eq!(count, 1);
    assert!(bytes * 3 < all_bytes, "{bytes} of {all_bytes} bytes");
}

crate::on_every_store!(columns_and_groups, folders);
