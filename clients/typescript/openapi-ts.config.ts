import { defineConfig } from '@hey-api/openapi-ts';

type Json = Record<string, any>;

/** Says what OpenAPI 3.0 cannot say, or what the generator misreads. */
function adapt(contract: Json): void {
  const { paths, components } = contract;
  for (const operation of Object.values<Json>(paths).flatMap(Object.values) as Json[]) {
    // The generator would send `auth` for each security scheme: the token would be sent as a lease.
    const ways = (operation.security ?? []) as Json[];
    const withLease = ways.filter((way) => 'runLease' in way);
    if (withLease.length === 0) continue;
    const { name, description } = components.securitySchemes.runLease;
    const required = withLease.length === ways.length;
    const lease = { name, in: 'header', required, description, schema: { type: 'string' } };
    operation.parameters = [...(operation.parameters ?? []), lease];
    operation.security = [{ bearerAuth: [] }];
  }
  // The generated function yields the data of each event. Only the format `message` has the number
  // and the type in the data.
  Object.assign(components.parameters.StreamFormat, {
    required: true,
    schema: { type: 'string', enum: ['message'] },
  });
  const { sequence, type, data } = components.schemas.RunEvent.properties;
  components.schemas.RunEventMessage = {
    description: 'An event in a stream.',
    type: 'object',
    required: ['sequence', 'type', 'data'],
    properties: { sequence, type, data },
  };
  const streams = { '/runs/{run_id}/events/stream': 'RunEventMessage', '/changes/stream': 'Change' };
  for (const [path, schema] of Object.entries(streams)) {
    const { responses } = paths[path].get;
    responses['200'].content['text/event-stream'].schema = { $ref: `#/components/schemas/${schema}` };
    delete responses['204']; // according to the type, it would yield `undefined`
  }
}

export default defineConfig({
  input: '../../openapi/agent-api.yaml',
  output: { path: 'src', module: { extension: '.js' } },
  parser: { patch: { input: adapt } },
  plugins: [
    { name: '@hey-api/client-fetch', includeInEntry: true },
    { name: '@hey-api/sdk', transformer: true },
    // Times come as Date. The contract's integers stay below 2^53, so that a number holds them.
    { name: '@hey-api/transformers', dates: true, bigInt: false },
  ],
});
