exports.greet = (n) => `Hello, ${n || 'you'}!`
