//! Compression around text formats: its names, bytes in and out piece by piece, ends in the middle, and bounds against
//! bombs. What Parquet and Avro do inside is their business.

use std::fmt;
use std::io::{self, Read, Write};

/// Bytes of gzip that are taken at once: deflate makes at most about a thousand times as many of them.
const GZIP_BYTES: usize = 16 << 10;
/// Most bytes that one step of the others gives.
const OUT_BYTES: usize = 128 << 10;
/// Bytes that a [`InflateReader`] reads at once.
const IN_BYTES: usize = 64 << 10;
/// Decompressed bytes from which on the ratio counts.
const RATIO_FROM_BYTES: u64 = 64 << 20;
/// Most bytes that one compressed byte may become, over a whole file.
const RATIO_MAX: u64 = 200;
/// Memory that one decompressor of xz may ask for; the tool's strongest level wants 65 MiB.
const XZ_MEMORY_MAX: u64 = 128 << 20;
/// How hard xz tries: every writer takes 32 MiB at this level, three times that at the tool's own.
const XZ_LEVEL: u32 = 3;

/// A way to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Deflate with a checksum.
    Gzip,
    /// Burrows and Wheeler's.
    Bzip2,
    /// LZMA2.
    Xz,
    /// Zstandard.
    Zstd,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Gzip, Self::Bzip2, Self::Xz, Self::Zstd];

    /// Its word in requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }

    /// What the names of files have at their end.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Bzip2 => ".bz2",
            Self::Xz => ".xz",
            Self::Zstd => ".zst",
        }
    }

    /// The codec of a word, in lower case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.as_str() == word || codec.suffix().strip_prefix('.') == Some(word))
    }

    /// The codec that a name tells, and the name without its ending.
    #[must_use]
    pub fn of_name(name: &str) -> (&str, Option<Self>) {
        let told = |codec: Self| {
            let (front, end) = name.split_at_checked(name.len().checked_sub(codec.suffix().len())?)?;
            end.eq_ignore_ascii_case(codec.suffix()).then_some((front, Some(codec)))
        };
        Self::ALL.into_iter().find_map(told).unwrap_or((name, None))
    }
}

/// Why bytes cannot be decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// They are no such bytes, or not all of them.
    #[error("its compressed bytes are damaged or end too early")]
    Damaged,
    /// They would become far too many.
    #[error("it expands to more than {RATIO_MAX} times its size")]
    Bomb,
    /// They need more memory than one decompressor gets.
    #[error("decompressing it takes more than {XZ_MEMORY_MAX} bytes of memory")]
    Memory,
}

/// A decompressor of one file, which may be of several streams, one behind the other.
pub struct Inflate {
    kind: Kind,
    /// Size of the compressed file, and what was made of it so far.
    bytes: u64,
    made: u64,
    out: Vec<u8>,
}

enum Kind {
    Plain,
    Gzip(Box<flate2::write::MultiGzDecoder<Vec<u8>>>),
    /// Without one: between two streams.
    Bzip2(Option<bzip2::Decompress>),
    Xz(liblzma::stream::Stream),
    /// And what it said at last: 0 at the end of a frame.
    Zstd(zstd::stream::raw::Decoder<'static>, usize),
}

impl fmt::Debug for Inflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflate").field("bytes", &self.bytes).field("made", &self.made).finish_non_exhaustive()
    }
}

impl Inflate {
    /// A decompressor of a file of so many bytes; without a codec it hands them on.
    ///
    /// # Errors
    /// Where there is no memory for it.
    pub fn new(codec: Option<Codec>, bytes: u64) -> io::Result<Self> {
        use liblzma::stream::{CONCATENATED, Stream};
        let kind = match codec {
            None => Kind::Plain,
            Some(Codec::Gzip) => Kind::Gzip(Box::new(flate2::write::MultiGzDecoder::new(Vec::new()))),
            Some(Codec::Bzip2) => Kind::Bzip2(Some(bzip2::Decompress::new(false))),
            Some(Codec::Xz) => Kind::Xz(Stream::new_stream_decoder(XZ_MEMORY_MAX, CONCATENATED)?),
            Some(Codec::Zstd) => Kind::Zstd(zstd::stream::raw::Decoder::new()?, 1),
        };
        let out = if matches!(kind, Kind::Plain | Kind::Gzip(_)) { Vec::new() } else { vec![0; OUT_BYTES] };
        Ok(Self { kind, bytes, made: 0, out })
    }

    /// Takes some bytes from the front, appends what they hold, and says how many it took: of bytes that become many, none
    /// for several steps.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn step(&mut self, bytes: &[u8], to: &mut Vec<u8>) -> Result<usize, Fault> {
        use zstd::stream::raw::{InBuffer, Operation as _, OutBuffer};
        let before = to.len();
        let taken = match &mut self.kind {
            Kind::Plain => {
                to.extend_from_slice(bytes);
                return Ok(bytes.len());
            }
            Kind::Gzip(decoder) => {
                let piece = bytes.get(..GZIP_BYTES).unwrap_or(bytes);
                decoder.write_all(piece).map_err(|_| Fault::Damaged)?;
                to.append(decoder.get_mut());
                piece.len()
            }
            Kind::Bzip2(decoder) => {
                let now = decoder.get_or_insert_with(|| bzip2::Decompress::new(false));
                let (taken, is_end) = bzip2_step(now, bytes, &mut self.out, to)?;
                if is_end {
                    *decoder = None;
                }
                taken
            }
            Kind::Xz(stream) => xz_step(stream, bytes, &mut self.out, to, liblzma::stream::Action::Run)?.0,
            Kind::Zstd(decoder, hint) => {
                let (mut input, mut output) = (InBuffer::around(bytes), OutBuffer::around(self.out.as_mut_slice()));
                *hint = decoder.run(&mut input, &mut output).map_err(|_| Fault::Damaged)?;
                to.extend_from_slice(output.as_slice());
                input.pos
            }
        };
        self.grown(to.len() - before)?;
        Ok(taken)
    }

    /// Appends some of what is left behind the last bytes, and says whether that was all.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn finish(&mut self, to: &mut Vec<u8>) -> Result<bool, Fault> {
        use zstd::stream::raw::{InBuffer, Operation as _, OutBuffer};
        let before = to.len();
        let is_over = match &mut self.kind {
            Kind::Plain | Kind::Bzip2(None) => true,
            Kind::Gzip(decoder) => {
                decoder.try_finish().map_err(|_| Fault::Damaged)?;
                to.append(decoder.get_mut());
                true
            }
            Kind::Bzip2(Some(decoder)) => bzip2_step(decoder, &[], &mut self.out, to)?.1,
            Kind::Xz(stream) => xz_step(stream, &[], &mut self.out, to, liblzma::stream::Action::Finish)?.1,
            Kind::Zstd(_, 0) => true,
            Kind::Zstd(decoder, hint) => {
                let mut output = OutBuffer::around(self.out.as_mut_slice());
                *hint = decoder.run(&mut InBuffer::around(&[]), &mut output).map_err(|_| Fault::Damaged)?;
                to.extend_from_slice(output.as_slice());
                *hint == 0
            }
        };
        let made = to.len() - before;
        self.grown(made)?;
        if made == 0 && !is_over { Err(Fault::Damaged) } else { Ok(is_over) }
    }

    fn grown(&mut self, by: usize) -> Result<(), Fault> {
        self.made += by as u64;
        if self.made > RATIO_FROM_BYTES && self.made / self.bytes.max(1) > RATIO_MAX { Err(Fault::Bomb) } else { Ok(()) }
    }
}

/// How much was taken, and whether the stream has ended.
fn bzip2_step(decoder: &mut bzip2::Decompress, bytes: &[u8], out: &mut [u8], to: &mut Vec<u8>) -> Result<(usize, bool), Fault> {
    let (from, made) = (decoder.total_in(), decoder.total_out());
    let status = decoder.decompress(bytes, out).map_err(|_| Fault::Damaged)?;
    let taken = usize::try_from(decoder.total_in() - from).unwrap_or(usize::MAX);
    let made = usize::try_from(decoder.total_out() - made).unwrap_or(usize::MAX);
    to.extend_from_slice(out.get(..made).unwrap_or_default());
    if status == bzip2::Status::MemNeeded { Err(Fault::Memory) } else { Ok((taken, status == bzip2::Status::StreamEnd)) }
}

fn xz_step(
    stream: &mut liblzma::stream::Stream,
    bytes: &[u8],
    out: &mut [u8],
    to: &mut Vec<u8>,
    action: liblzma::stream::Action,
) -> Result<(usize, bool), Fault> {
    use liblzma::stream::{Error, Status};
    let (from, made) = (stream.total_in(), stream.total_out());
    let status = stream.process(bytes, out, action).map_err(|error| match error {
        Error::Mem | Error::MemLimit => Fault::Memory,
        _ => Fault::Damaged,
    })?;
    let taken = usize::try_from(stream.total_in() - from).unwrap_or(usize::MAX);
    let made = usize::try_from(stream.total_out() - made).unwrap_or(usize::MAX);
    to.extend_from_slice(out.get(..made).unwrap_or_default());
    // What is behind the last stream, and is none, is noticed here: nothing else leaves all bytes where they are.
    let is_stuck = taken == 0 && made == 0 && !bytes.is_empty();
    if is_stuck { Err(Fault::Damaged) } else { Ok((taken, status == Status::StreamEnd)) }
}

/// The same for what is read. Its errors are [`Fault`]s, or the reader's own.
#[derive(Debug)]
pub struct InflateReader<R> {
    input: R,
    inflate: Inflate,
    read: Vec<u8>,
    at: usize,
    ready: Vec<u8>,
    given: usize,
    /// Whether all was read, and whether all was made of it.
    is_read: bool,
    is_over: bool,
}

impl<R: Read> InflateReader<R> {
    /// Decompresses what `input` gives, `bytes` in all.
    ///
    /// # Errors
    /// Those of [`Inflate::new`].
    pub fn new(codec: Codec, input: R, bytes: u64) -> io::Result<Self> {
        let inflate = Inflate::new(Some(codec), bytes)?;
        Ok(Self { input, inflate, read: Vec::new(), at: 0, ready: Vec::new(), given: 0, is_read: false, is_over: false })
    }

    /// Makes some more ready.
    fn fill(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.given = 0;
        if self.at == self.read.len() && !self.is_read {
            self.read.resize(IN_BYTES, 0);
            let read = self.input.read(&mut self.read)?;
            self.read.truncate(read);
            self.at = 0;
            self.is_read = read == 0;
        }
        let rest = self.read.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            self.is_over = self.inflate.finish(&mut self.ready).map_err(io::Error::other)?;
        } else {
            self.at += self.inflate.step(rest, &mut self.ready).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

impl<R: Read> Read for InflateReader<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() && !self.is_over {
            self.fill()?;
        }
        let rest = self.ready.get(self.given..).unwrap_or_default();
        let given = rest.len().min(to.len());
        if let (Some(to), Some(rest)) = (to.get_mut(..given), rest.get(..given)) {
            to.copy_from_slice(rest);
        }
        self.given += given;
        Ok(given)
    }
}

/// A compressor around a writer; without a codec it hands bytes on.
pub enum Deflate<W: Write> {
    /// As they are.
    Plain(W),
    /// Gzip.
    Gzip(flate2::write::GzEncoder<W>),
    /// Bzip2.
    Bzip2(bzip2::write::BzEncoder<W>),
    /// Xz.
    Xz(liblzma::write::XzEncoder<W>),
    /// Zstandard.
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> fmt::Debug for Deflate<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deflate")
    }
}

impl<W: Write> Deflate<W> {
    /// A compressor.
    ///
    /// # Errors
    /// Where there is no memory for it.
    pub fn new(codec: Option<Codec>, out: W) -> io::Result<Self> {
        use liblzma::stream::{Check, Stream};
        Ok(match codec {
            None => Self::Plain(out),
            Some(Codec::Gzip) => Self::Gzip(flate2::write::GzEncoder::new(out, flate2::Compression::default())),
            Some(Codec::Bzip2) => Self::Bzip2(bzip2::write::BzEncoder::new(out, bzip2::Compression::default())),
            Some(Codec::Xz) => Self::Xz(liblzma::write::XzEncoder::new_stream(out, Stream::new_easy_encoder(XZ_LEVEL, Check::Crc64)?)),
            Some(Codec::Zstd) => Self::Zstd(zstd::stream::write::Encoder::new(out, 0)?),
        })
    }

    /// Writes what is left and flushes.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(self) -> io::Result<()> {
        let mut out = match self {
            Self::Plain(out) => out,
            Self::Gzip(out) => out.finish()?,
            Self::Bzip2(out) => out.finish()?,
            Self::Xz(out) => out.finish()?,
            Self::Zstd(out) => out.finish()?,
        };
        out.flush()
    }
}

impl<W: Write> Write for Deflate<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(out) => out.write(bytes),
            Self::Bzip2(out) => out.write(bytes),
            Self::Xz(out) => out.write(bytes),
            Self::Zstd(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(out) => out.flush(),
            Self::Bzip2(out) => out.flush(),
            Self::Xz(out) => out.flush(),
            Self::Zstd(out) => out.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Codec, Deflate, Fault, Inflate, InflateReader, OUT_BYTES};
    use std::io::{Read as _, Write as _};

    fn packed(codec: Codec, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut deflate = Deflate::new(Some(codec), &mut out).unwrap();
        deflate.write_all(bytes).unwrap();
        deflate.finish().unwrap();
        out
    }

    fn unpacked(codec: Codec, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::new();
        InflateReader::new(codec, bytes, bytes.len() as u64)?.read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn every_codec_gives_back_what_it_took() {
        let text: Vec<u8> =
            (0..300_000_u32).flat_map(|number| (number.wrapping_mul(2_654_435_761) % 1000).to_string().into_bytes()).collect();
        for codec in Codec::ALL {
            let whole = packed(codec, &text);
            assert!(whole.len() < text.len(), "{codec:?}");
            assert!(unpacked(codec, &whole).unwrap() == text, "{codec:?}");
            // Streams one behind the other are one file.
            let twice = [whole.clone(), packed(codec, b"end")].concat();
            assert!(unpacked(codec, &twice).unwrap() == [text.as_slice(), b"end"].concat(), "{codec:?}");
            for cut in [1, whole.len() / 2, whole.len() - 1] {
                assert!(unpacked(codec, &whole[..cut]).is_err(), "{codec:?} of {cut} bytes");
            }
            let mut broken = whole;
            let middle = broken.len() / 2;
            broken[middle] ^= 0x55;
            assert!(unpacked(codec, &broken).is_err(), "{codec:?}");
            assert!(unpacked(codec, b"no such thing").is_err(), "{codec:?}");
        }
    }

    #[test]
    fn a_bomb_is_told_and_gives_little_at_once() {
        let zeros = vec![0; 80 << 20];
        for codec in Codec::ALL {
            let bomb = packed(codec, &zeros);
            let mut inflate = Inflate::new(Some(codec), bomb.len() as u64).unwrap();
            let (mut rest, mut most, mut to) = (bomb.as_slice(), 0, Vec::new());
            let fault = loop {
                let step = match rest {
                    [] => inflate.finish(&mut to).map(|is_over| assert!(!is_over, "{codec:?} is no bomb")),
                    _ => inflate.step(rest, &mut to).map(|taken| rest = &rest[taken..]),
                };
                most = most.max(to.len());
                to.clear();
                if let Err(fault) = step {
                    break fault;
                }
            };
            assert_eq!(fault, Fault::Bomb, "{codec:?}");
            assert!(most <= if codec == Codec::Gzip { 17 << 20 } else { OUT_BYTES }, "{codec:?} gave {most} bytes at once");
        }
    }

    #[test]
    fn names_tell_codecs() {
        assert_eq!(Codec::of_name("a.csv.bz2"), ("a.csv", Some(Codec::Bzip2)));
        assert_eq!(Codec::of_name("a.JSON.GZ"), ("a.JSON", Some(Codec::Gzip)));
        assert_eq!(Codec::of_name("żx"), ("żx", None));
        assert_eq!((Codec::parse("bz2"), Codec::parse("xz"), Codec::parse("lzma")), (Some(Codec::Bzip2), Some(Codec::Xz), None));
    }
}
