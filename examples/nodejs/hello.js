// Says hello.
module.exports = async (context, payload) => {
  const name = payload?.name ?? 'Noone';
  console.log(`saying hello to ${name}`);
  return { myField: `Hello, ${name}` };
};
