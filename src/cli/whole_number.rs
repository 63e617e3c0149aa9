//! The value of a whole number within bounds.

use std::ops::RangeInclusive;

/// Returns a parser of whole numbers from one bound to another, whose error says which they are.
pub(crate) fn whole<T: TryFrom<u64>>(
    bounds: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| match *bounds.end() {
            u64::MAX => format!("it takes a whole number from {} on", bounds.start()),
            end => format!("it takes a whole number from {} to {end}", bounds.start()),
        })
    }
}

/// The most backups that a rule of retention may keep.
pub(crate) const MOST_KEPT: u64 = u32::MAX as u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_within_its_bounds_and_what_is_none_is_told_them() {
        let port = whole::<u16>(1..=65_535);
        assert_eq!((port("1"), port("65535")), (Ok(1), Ok(65_535)));
        for wrong in ["0", "65536", "-1", "x", "", " 1", "1.0", "0x10", "99999999999999999999"] {
            assert_eq!(port(wrong), Err("it takes a whole number from 1 to 65535".to_owned()), "{wrong}");
        }
        assert_eq!(whole::<u64>(1..=u64::MAX)("0"), Err("it takes a whole number from 1 on".to_owned()));
    }
}
