//! Decompression of what arrives piece by piece; an end in the middle is noticed.

use super::Compression;
use std::fmt;
use std::io::{self, Write};
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

/// Bytes that are decompressed at once: even a bomb makes no more than about a thousand times as many of them.
const PIECE_BYTES: usize = 16 << 10;
/// Bytes of the buffer behind zstd.
const OUT_BYTES: usize = 128 << 10;

/// A decompressor.
pub(crate) enum Inflate {
    Plain,
    Gzip(Box<flate2::write::MultiGzDecoder<Vec<u8>>>),
    Zstd { decoder: Decoder<'static>, out: Vec<u8>, hint: usize },
}

impl fmt::Debug for Inflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "Plain",
            Self::Gzip(_) => "Gzip",
            Self::Zstd { .. } => "Zstd",
        })
    }
}

impl Inflate {
    pub(crate) fn new(compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::None | Compression::Snappy => Self::Plain,
            Compression::Gzip => Self::Gzip(Box::new(flate2::write::MultiGzDecoder::new(Vec::new()))),
            Compression::Zstd => Self::Zstd { decoder: Decoder::new()?, out: vec![0; OUT_BYTES], hint: 0 },
        })
    }

    /// Takes some bytes from the front, gives what they hold, and says how many it took.
    pub(crate) fn step(&mut self, bytes: &[u8], to: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Self::Plain => {
                to.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            Self::Gzip(decoder) => {
                let piece = bytes.get(..PIECE_BYTES).unwrap_or(bytes);
                decoder.write_all(piece)?;
                to.append(decoder.get_mut());
                Ok(piece.len())
            }
            Self::Zstd { decoder, out, hint } => {
                let piece = bytes.get(..PIECE_BYTES).unwrap_or(bytes);
                let mut input = InBuffer::around(piece);
                while input.pos < piece.len() {
                    let mut output = OutBuffer::around(out.as_mut_slice());
                    *hint = decoder.run(&mut input, &mut output)?;
                    to.extend_from_slice(output.as_slice());
                }
                Ok(piece.len())
            }
        }
    }

    /// Gives what is left.
    pub(crate) fn finish(&mut self, to: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Plain => Ok(()),
            Self::Gzip(decoder) => {
                decoder.try_finish()?;
                to.append(decoder.get_mut());
                Ok(())
            }
            Self::Zstd { decoder, out, hint } => {
                while *hint != 0 {
                    let mut output = OutBuffer::around(out.as_mut_slice());
                    let left = decoder.flush(&mut output)?;
                    let got = output.as_slice().len();
                    to.extend_from_slice(output.as_slice());
                    if got == 0 || left == 0 {
                        break;
                    }
                }
                if *hint == 0 { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
            }
        }
    }
}
