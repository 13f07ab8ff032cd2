// How orval makes client.ts. Its functions have no other way to get the server's address.
export default {
  client: {
    input: 'agent-api.yaml',
    output: { target: 'client.ts', client: 'fetch', baseUrl: { runtime: 'process.env.API' } },
  },
};
