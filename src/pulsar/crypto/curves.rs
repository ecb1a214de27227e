//! The curves that EC keys may be on, and the three things that are done there.

use elliptic_curve::point::PointCompression;
use elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use elliptic_curve::{
    AffinePoint, CurveArithmetic, FieldBytesSize, Group, ProjectivePoint, SecretKey, ecdh,
};
use p256::elliptic_curve;
use zeroize::Zeroizing;

use crate::der::{Der, INTEGER, OBJECT_ID, OCTET_STRING, SEQUENCE};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    P256,
    P384,
    P521,
    K256,
}

const ALL: [Curve; 4] = [Curve::P256, Curve::P384, Curve::P521, Curve::K256];

/// `1.2.840.10045.3.1.7`, `1.3.132.0.34`, `1.3.132.0.35`, `1.3.132.0.10`.
const PRIME256V1: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
const SECP384R1: &[u8] = &[0x2B, 0x81, 0x04, 0x00, 0x22];
const SECP521R1: &[u8] = &[0x2B, 0x81, 0x04, 0x00, 0x23];
const SECP256K1: &[u8] = &[0x2B, 0x81, 0x04, 0x00, 0x0A];

/// Calls a function that is generic over the curve.
macro_rules! on {
    ($curve:expr, $function:ident($($argument:expr),*)) => {
        match $curve {
            Curve::P256 => $function::<p256::NistP256>($($argument),*),
            Curve::P384 => $function::<p384::NistP384>($($argument),*),
            Curve::P521 => $function::<p521::NistP521>($($argument),*),
            Curve::K256 => $function::<k256::Secp256k1>($($argument),*),
        }
    };
}

impl Curve {
    /// The next element: `ECParameters` of RFC 3279, a name or, as in keys made with `-param_enc explicit` (which is what
    /// Pulsar's guide recommends), the curve's numbers.
    pub fn of_parameters(parameters: &mut Der<'_>) -> Option<Curve> {
        match parameters.tag()? {
            OBJECT_ID => match parameters.take(OBJECT_ID)? {
                PRIME256V1 => Some(Curve::P256),
                SECP384R1 => Some(Curve::P384),
                SECP521R1 => Some(Curve::P521),
                SECP256K1 => Some(Curve::K256),
                _ => None,
            },
            _ => {
                let mut numbers = parameters.enter(SEQUENCE)?;
                numbers.take(INTEGER)?;
                numbers.take(SEQUENCE)?;
                numbers.take(SEQUENCE)?;
                let base = numbers.take(OCTET_STRING)?;
                // What it calls the curve does not matter: only ours are computed on, and a base is on one of them.
                ALL.into_iter().find(|curve| on!(curve, is_base(base)))
            }
        }
    }

    /// Whether it is a point of the curve.
    pub fn has_point(self, point: &[u8]) -> bool {
        on!(self, is_point(point))
    }

    /// Whether it is a private key.
    pub fn has_secret(self, secret: &[u8]) -> bool {
        on!(self, is_secret(secret))
    }

    /// How many bytes a point in front of something else takes, by its first byte (SEC 1, 2.3.3).
    pub fn point_bytes(self, first: u8) -> Option<usize> {
        let field_bytes = match self {
            Curve::P256 | Curve::K256 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        };
        match first {
            2 | 3 => Some(1 + field_bytes),
            4 => Some(1 + 2 * field_bytes),
            _ => None,
        }
    }

    /// A new key pair's public point, uncompressed, and what it agrees on with the owner of another.
    pub fn agree_anew(self, with: &[u8]) -> Option<(Vec<u8>, Zeroizing<Vec<u8>>)> {
        on!(self, agree_anew(with))
    }

    /// What the secret's owner and the point's agree on: a coordinate, in the field's length. None: no such secret, or
    /// no such point.
    pub fn agree(self, secret: &[u8], with: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        on!(self, agree(secret, with))
    }
}

/// What all of them are.
trait Sec1Curve:
    CurveArithmetic<
        AffinePoint: FromSec1Point<Self> + ToSec1Point<Self>,
        FieldBytesSize: ModulusSize,
    > + PointCompression
{
}

impl<C> Sec1Curve for C
where
    C: CurveArithmetic + PointCompression,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
}

fn public<C: Sec1Curve>(point: &[u8]) -> Option<elliptic_curve::PublicKey<C>> {
    elliptic_curve::PublicKey::from_sec1_bytes(point).ok()
}

fn is_point<C: Sec1Curve>(point: &[u8]) -> bool {
    public::<C>(point).is_some()
}

fn is_base<C: Sec1Curve>(point: &[u8]) -> bool {
    public::<C>(point).is_some_and(|it| it.to_projective() == ProjectivePoint::<C>::generator())
}

/// Keys are written in the order's length; leading zeros may be missing or too many.
fn secret<C: Sec1Curve>(secret: &[u8]) -> Option<SecretKey<C>> {
    let digits = secret
        .iter()
        .position(|&byte| byte != 0)
        .unwrap_or(secret.len());
    let digits = secret.get(digits..)?;
    let mut padded = Zeroizing::new(elliptic_curve::FieldBytes::<C>::default());
    let start = padded.len().checked_sub(digits.len())?;
    padded[start..].copy_from_slice(digits);
    SecretKey::from_bytes(&padded).ok()
}

fn is_secret<C: Sec1Curve>(bytes: &[u8]) -> bool {
    secret::<C>(bytes).is_some()
}

fn agree_anew<C: Sec1Curve>(with: &[u8]) -> Option<(Vec<u8>, Zeroizing<Vec<u8>>)> {
    use elliptic_curve::Generate;
    let with = public::<C>(with)?;
    let secret = SecretKey::<C>::try_generate_from_rng(&mut getrandom::SysRng).ok()?;
    let shared = ecdh::diffie_hellman(secret.to_nonzero_scalar(), with.as_affine());
    let point = secret.public_key().to_sec1_point(false).as_bytes().to_vec();
    Some((point, Zeroizing::new(shared.raw_secret_bytes().to_vec())))
}

fn agree<C: Sec1Curve>(own: &[u8], with: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let shared = ecdh::diffie_hellman(
        secret::<C>(own)?.to_nonzero_scalar(),
        public::<C>(with)?.as_affine(),
    );
    Some(Zeroizing::new(shared.raw_secret_bytes().to_vec()))
}
