// What Fastify validates requests against and writes responses from.

const uuid = { type: 'string', format: 'uuid' }
const id = { type: 'string' }
const time = { type: 'string' }
const object = { type: 'object', additionalProperties: true }
const objects = { type: 'array', items: object }
const optional = schema => ({ ...schema, nullable: true })
const name = { type: 'string', minLength: 1, maxLength: 255 }
const offset = { type: 'integer', minimum: 0, maximum: 2 ** 31 - 1, default: 0 }
const role = { type: 'string', enum: ['user', 'assistant', 'system'] }

const closed = properties => ({ type: 'object', properties, required: Object.keys(properties) })

const attachment = closed({
  name,
  type: { type: 'string', maxLength: 255 },
  url: { type: 'string', minLength: 1, maxLength: 8192 },
  size: { type: 'integer', minimum: 0, maximum: 2 ** 53 - 1 },
})

const messageCreate = {
  type: 'object',
  required: ['role', 'content'],
  properties: {
    role,
    content: { type: 'string', maxLength: 10_485_760 },
    attachments: optional({ type: 'array', maxItems: 100, items: attachment }),
    metadata: optional(object),
    run_id: optional(uuid),
    routing_decision: optional(object),
    tool_calls: optional({ ...objects, maxItems: 1000 }),
  },
}

const message = closed({
  id,
  conversation_id: id,
  role,
  content: { type: 'string' },
  attachments: optional(objects),
  chat_attachments: objects,
  metadata: optional(object),
  run_id: optional(id),
  routing_decision: optional(object),
  tool_calls: optional(objects),
  feedback: optional(object),
  created_at: time,
  parts: optional(objects),
  author: optional(name),
  version: { type: 'integer' },
  edited_at: optional(time),
  parent_id: optional(id),
  sibling_index: { type: 'integer' },
  sibling_count: { type: 'integer' },
  active: { type: 'boolean' },
})

const conversation = closed({
  id,
  title: name,
  user_id: name,
  role: { type: 'string', enum: ['owner', 'editor', 'viewer'] },
  shared_by: optional(name),
  source: optional(name),
  model: optional(name),
  agent_id: optional(name),
  is_private: { type: 'boolean' },
  metadata: optional(object),
  archived: { type: 'boolean' },
  pinned: { type: 'boolean' },
  tags: { type: 'array', items: { type: 'string' } },
  message_count: { type: 'integer' },
  unread_count: { type: 'integer' },
  last_message: optional(closed({ role, content: { type: 'string' }, created_at: time })),
  created_at: time,
  updated_at: time,
})

const withMessages = {
  ...conversation,
  properties: { ...conversation.properties, messages: { type: 'array', items: message } },
}

const page = closed({
  conversations: { type: 'array', items: conversation },
  total: { type: 'integer' },
  limit: { type: 'integer' },
  offset: { type: 'integer' },
  next_cursor: optional({ type: 'string' }),
})

const settings = closed({
  id: optional(id),
  user_id: name,
  enabled_tools: { type: 'array', items: name },
  enabled_agents: { type: 'array', items: id },
  model: optional(name),
  temperature: { type: 'number' },
  max_tokens: { type: 'integer' },
  created_at: optional(time),
  updated_at: optional(time),
})

const parameters = properties => ({ type: 'object', properties })
const params = closed({ id: uuid })

export const listConversations = {
  querystring: parameters({
    limit: { type: 'integer', minimum: 1, maximum: 100, default: 50 },
    offset,
    order_by: { type: 'string', enum: ['created_at', 'updated_at'], default: 'created_at' },
    order: { type: 'string', enum: ['asc', 'desc'], default: 'desc' },
    source: { type: 'string', minLength: 1, maxLength: 50 },
    agent_id: name,
    cursor: { type: 'string', minLength: 1, maxLength: 512, pattern: '^[A-Za-z0-9_-]+$' },
  }),
  response: { 200: page },
}

export const getConversation = {
  params,
  querystring: parameters({
    include_messages: { type: 'boolean', default: true },
    message_limit: { type: 'integer', minimum: 1, maximum: 500, default: 100 },
    message_offset: offset,
  }),
  response: { 200: withMessages },
}

export const createMessage = { params, body: messageCreate, response: { 201: message } }
export const getMessage = { params, response: { 200: message } }
export const getSettings = { response: { 200: settings } }
