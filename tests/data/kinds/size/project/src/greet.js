// Says hello to a person, or to whoever is there when there is no name to be had.
exports.greet = function greet(nameOfThePerson) {
  const whoeverIsThere = nameOfThePerson === '' ? 'you' : nameOfThePerson
  return 'Hello, ' + whoeverIsThere + '!'
}
