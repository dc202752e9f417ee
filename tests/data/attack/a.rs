fn total<'a>(items: &'a [i32], start: i32) -> i32 {
    let mut t = start;
    for item in items {
        if *item > 3 {
            t += item;
        }
    }
    t
}
fn main() {
    let c = '{';
    println!("{}{}", total(&[1], 2), c);
}
