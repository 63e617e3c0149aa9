//! SQL of values that look like real ones: names, addresses, numbers.

use crate::postgres::anonymise::expression_context::ExpressionContext;
use crate::postgres::anonymise::keyed_hash::{by_number, hash, number};
use crate::postgres::anonymise::shape::ColumnShape;
use crate::postgres::session::quote::literal;

const FIRST: [&str; 24] = [
    "Alex", "Andrea", "Ashley", "Avery", "Cameron", "Casey", "Charlie", "Dana", "Eli", "Finley", "Jamie", "Jordan",
    "Jules", "Kim", "Lee", "Logan", "Morgan", "Noel", "Quinn", "Riley", "Robin", "Sam", "Taylor", "Toni",
];
const LAST: [&str; 24] = [
    "Adams", "Baker", "Brook", "Carter", "Dale", "Ellis", "Field", "Gray", "Hill", "Holt", "Hunter", "Kent", "Lane",
    "Marsh", "Mills", "North", "Parker", "Reed", "Rose", "Shaw", "Stone", "Wade", "West", "Wood",
];
const STREETS: [&str; 12] = [
    "Bridge Street",
    "Church Road",
    "Elm Street",
    "Garden Lane",
    "High Street",
    "Main Street",
    "Market Square",
    "Mill Lane",
    "Oak Avenue",
    "Park Road",
    "Station Road",
    "Victoria Street",
];
const TOWNS: [&str; 12] = [
    "Ashford",
    "Brookfield",
    "Clayton",
    "Eastwood",
    "Fairview",
    "Greenville",
    "Hillside",
    "Lakewood",
    "Milton",
    "Northport",
    "Riverside",
    "Springfield",
];

/// Returns an expression for a first and a last name.
pub(crate) fn name(input: &str, most: Option<usize>) -> String {
    by_number(&hash("name", input), |chance| {
        let last = pick(&LAST, &format!("{chance} / {}", FIRST.len()));
        within(&format!("{} || ' ' || {last}", pick(&FIRST, chance)), most)
    })
}

/// Returns an expression for a street with a number, and a town.
pub(crate) fn postal_address(input: &str, most: Option<usize>) -> String {
    by_number(&hash("address", input), |chance| {
        let (house, street) = (format!("(1 + {chance} % 199)"), pick(&STREETS, &format!("{chance} / 199")));
        within(&format!("{house} || ' ' || {street} || ', ' || {}", pick(&TOWNS, &format!("{chance} / 2388"))), most)
    })
}

/// Returns an expression for a telephone number that is nobody's: 555-0100 to 555-0199 of an area in North America. A short column
/// gets its last digits.
pub(crate) fn phone(input: &str, most: Option<usize>) -> String {
    by_number(&hash("phone", input), |chance| {
        let whole =
            format!("'+1' || (200 + {chance} % 800) || '55501' || pg_catalog.right('0' || {chance} / 800 % 100, 2)");
        match most {
            Some(most) if most < 12 => format!("pg_catalog.right({whole}, {most})"),
            _ => whole,
        }
    })
}

/// Returns an expression for one of the words.
fn pick(words: &[&str], chance: &str) -> String {
    let words: Vec<String> = words.iter().map(|word| literal(word)).collect();
    format!("(ARRAY[{}])[1 + {chance} % {}]", words.join(", "), words.len())
}

fn within(made: &str, most: Option<usize>) -> String {
    most.map_or_else(|| made.to_owned(), |most| format!("pg_catalog.left({made}, {most})"))
}

/// Returns an expression for an address of a private network (IPv4) or of documentation (IPv6). Addresses of a unique column are all
/// of the second kind. An error says why it does not fit.
pub(crate) fn network_address(context: &ExpressionContext) -> Result<String, String> {
    let chance = number(&hash("ip", &context.text()));
    let four = format!("'10.0.0.0'::pg_catalog.inet + {chance} % 16777216");
    let six = format!("'2001:db8::'::pg_catalog.inet + {chance}");
    let value = context.value();
    let same_length = format!(
        "CASE pg_catalog.family({value}) WHEN 4 THEN pg_catalog.set_masklen({four}, pg_catalog.masklen({value}))
            WHEN 6 THEN pg_catalog.set_masklen({six}, pg_catalog.masklen({value})) END"
    );
    match (context.demand.shape, context.demand.is_unique) {
        (ColumnShape::Inet, true) => Ok(six),
        (ColumnShape::Text | ColumnShape::Cidr, true) => {
            Err("only addresses of the type inet can stay unique".to_owned())
        }
        (ColumnShape::Inet, false) => Ok(same_length),
        (ColumnShape::Cidr, false) => Ok(format!("pg_catalog.network({same_length})")),
        (ColumnShape::Text, false) => match context.demand.max_chars {
            Some(most) if most < 14 => Err("an address has up to 14 characters, more than the type takes".to_owned()),
            _ => Ok(format!("pg_catalog.host({four})")),
        },
        _ => Err(format!("it does not fit the type {}", context.column.type_name)),
    }
}

/// Returns an expression for the date or time, moved by one day at least; all those of one row are moved by the same time. `None`:
/// the type is neither.
pub(crate) fn moved_date(context: &ExpressionContext, days: u32) -> Option<String> {
    // A day may have another length where clocks change.
    let unit = match context.demand.shape {
        ColumnShape::Date => "",
        ColumnShape::Timestamp => " * '24:00:00'::interval",
        _ => return None,
    };
    let moved = by_number(&hash("date", &context.row_text()), |chance| {
        let day = format!("({chance} % {})", 2 * days);
        format!("({day} - {days} + ({day} >= {days})::integer)::integer{unit}")
    });
    Some(format!("{} + {moved}", context.value()))
}

/// Returns an expression for the number, changed by up to so many per cent, within what the type takes. `None`: the type is no number.
pub(crate) fn noisy_number(context: &ExpressionContext, percent: u32) -> Option<String> {
    let value = context.value();
    let input = format!("{} || {}", literal(&format!("{}:", context.column.name)), context.row_text());
    // Exact, and a multiplication of decimals takes about a quarter of the time of a division.
    let factor = format!("((100000 + ({} % 2001 - 1000) * {percent}) * 0.00001)", number(&hash("number", &input)));
    let clamped = |made: &str, most: &str| format!("LEAST(GREATEST({made}, -{most}), {most})");
    match context.demand.shape {
        ColumnShape::Integer(bits) => {
            let most = (1_u64 << (bits - 1)) - 1;
            let made = clamped(&format!("pg_catalog.round({value} * {factor})"), &most.to_string());
            // LEAST and GREATEST pass over NULL.
            Some(format!("CASE WHEN {value} IS NOT NULL THEN {made} END"))
        }
        ColumnShape::Numeric => Some(match context.column.digits() {
            Some((precision, scale)) => {
                let most = format!("{}e{}::numeric", "9".repeat(precision as usize), -scale);
                let made = clamped(&format!("pg_catalog.round({value} * {factor}, {scale})"), &most);
                // NaN is more than any number, and stays what it is as NULL does.
                format!("CASE WHEN {value} < 'NaN'::numeric THEN {made} ELSE {value} END")
            }
            None => format!("COALESCE(pg_catalog.round({value} * {factor}, pg_catalog.scale({value})), {value})"),
        }),
        // What is nearly zero or as large as the type takes would leave it.
        ColumnShape::Float => Some(format!(
            "CASE WHEN pg_catalog.abs({value}) BETWEEN 1e-30 AND 1e30 THEN {value} * {factor}::double precision ELSE {value} END"
        )),
        _ => None,
    }
}
