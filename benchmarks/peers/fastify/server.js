// Fastify on pg: `node server.js CONFIG`, with prepared statements and without a log.

import { readFileSync } from 'node:fs'
import { createVerifier } from 'fast-jwt'
import Fastify from 'fastify'
import pg from 'pg'
import { v7 as newId } from 'uuid'
import * as schemas from './schemas.js'

const CACHE_MS = 60_000
const PREVIEW_CHARACTERS = 100
const TITLES = {
  401: ['unauthorized', 'Unauthorized'],
  403: ['forbidden', 'Forbidden'],
  404: ['not-found', 'Not found'],
  422: ['validation-failed', 'Validation failed'],
}
const FOREIGN_KEY_VIOLATION = '23503'

const config = JSON.parse(readFileSync(process.argv[2], 'utf8'))

pg.types.setTypeParser(pg.types.builtins.INT8, Number)
// As text, because a Date has no microseconds: 2026-03-02 09:14:23.0477+00
pg.types.setTypeParser(
  pg.types.builtins.TIMESTAMPTZ,
  text => `${text.slice(0, 10)}T${text.slice(11, 19)}.${text.slice(20, -3).padEnd(6, '0')}Z`,
)
const pool = new pg.Pool({
  connectionString: config.database_url,
  max: config.pool_size,
  min: config.pool_size,
  idleTimeoutMillis: 0,
  // Generic plans, because PostgreSQL would otherwise plan some statements again each time.
  options: '-c timezone=UTC -c jit=off -c plan_cache_mode=force_generic_plan',
})

/** Run a statement that each connection prepares once, under its name. */
async function query(name, text, ...values) {
  return (await pool.query({ name, text, values })).rows
}

class Refusal extends Error {
  constructor(status, detail) {
    super(detail)
    this.status = status
  }
}

/** Return the row of a statement, or throw the Refusal that explains why it has none. */
async function found([row], resource, id) {
  if (row) return row
  const [owner] = await query(resource, config.statements.owner[resource], id)
  if (!owner) throw new Refusal(404, `No ${resource} has this id.`)
  throw new Refusal(403, `This ${resource} belongs to another user.`)
}

const verify = createVerifier({
  key: config.secret,
  algorithms: ['HS256'],
  requiredClaims: ['exp', 'sub'],
  clockTolerance: 5000,
})
const seen = new Map()

function userOf(authorization) {
  const [scheme, token] = (authorization ?? '').split(' ', 2)
  if (scheme.toLowerCase() !== 'bearer' || !token) throw new Refusal(401, 'This needs a token.')
  const known = seen.get(token)
  if (known && Date.now() < known.until) return known.user
  try {
    const { sub, exp } = verify(token)
    seen.set(token, { user: sub, until: Math.min(exp * 1000, Date.now() + CACHE_MS) })
    return sub
  } catch {
    throw new Refusal(401, 'The token is not valid.')
  }
}

function readCursor(cursor) {
  if (cursor === undefined) return undefined
  try {
    const [time, id, total] = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    return { time, id, total }
  } catch {
    throw new Refusal(422, 'The cursor is not valid.')
  }
}

function conversationOf(row) {
  row.last_message = row.last_message_at && {
    role: row.last_message_role,
    content: row.last_message_content,
    created_at: row.last_message_at,
  }
  row.role = 'owner'
  row.shared_by = null
  return row // the schema leaves out the other columns
}

function messageOf(row) {
  const { parts = null, author = null, version = 1, edited_at = null } = row.details ?? {}
  return Object.assign(row, { parts, author, version, edited_at })
}

function titleFrom(content) {
  const line = content.split(/\r\n|[\n\r\v\f]/).find(text => text.trim())?.trim()
  if (!line || line.length <= 60) return line ?? null
  return /^.{1,60}(?=\s)/.exec(line)?.[0].trimEnd() ?? line.slice(0, 60)
}

const json = value => (value == null ? null : JSON.stringify(value))

const app = Fastify({ logger: false })

app.decorateRequest('user', '')
app.addHook('onRequest', async request => {
  request.user = userOf(request.headers.authorization)
})
app.setErrorHandler((error, _request, reply) => {
  const status = error.status ?? (error.validation ? 422 : error.statusCode)
  if (!TITLES[status]) return reply.send(error)
  const [code, title] = TITLES[status]
  const problem = { type: `/problems/${code}`, title, status, detail: error.message }
  reply.code(status).type('application/problem+json').send(JSON.stringify(problem))
})

app.get('/conversations', { schema: schemas.listConversations }, async ({ user, query: given }) => {
  const { limit, offset, order_by, order, source, agent_id } = given
  const after = readCursor(given.cursor)
  const parts = [order_by, order, source && 'source', agent_id && 'agent_id', after && 'after']
  const key = parts.filter(Boolean).join(' ')
  const [page, count] = config.statements.lists[key]
  const filters = [user, source, agent_id].filter(value => value !== undefined)
  const resumed = after ? [after.time, after.id] : []
  const rows = await query(key, page, ...filters, limit + 1, offset, ...resumed)
  const total =
    after?.total ?? rows[0]?.total ?? (await query(`count ${key}`, count, ...filters))[0].count
  let next_cursor = null
  if (rows.length > limit) {
    rows.pop()
    const last = rows[limit - 1]
    const next = JSON.stringify([last[order_by], last.id, total])
    next_cursor = Buffer.from(next).toString('base64url')
  }
  return { conversations: rows.map(conversationOf), total, limit, offset, next_cursor }
})

app.get('/conversations/:id', { schema: schemas.getConversation }, async request => {
  const { user, params: { id }, query: given } = request
  const { get_conversation, get_messages } = config.statements
  const rows = await query('get_conversation', get_conversation, user, id)
  const conversation = conversationOf(await found(rows, 'conversation', id))
  if (given.include_messages) {
    const page = [given.message_limit, given.message_offset]
    const messages = await query('get_messages', get_messages, user, id, ...page)
    conversation.messages = messages.map(messageOf)
  }
  return conversation
})

app.post('/conversations/:id/messages', { schema: schemas.createMessage }, async (request, reply) => {
  const { user, params: { id: conversation_id }, body } = request
  const message = { ...body, id: newId(), conversation_id }
  let rows
  try {
    rows = await query(
      'create_message',
      config.statements.create_message,
      user,
      conversation_id,
      message.id,
      body.role,
      body.content,
      json(body.attachments),
      json(body.metadata),
      body.run_id,
      json(body.routing_decision),
      json(body.tool_calls),
      body.role === 'user' ? titleFrom(body.content) : null,
      body.content.slice(0, PREVIEW_CHARACTERS),
    )
  } catch (error) {
    if (error.code !== FOREIGN_KEY_VIOLATION) throw error
    throw new Refusal(422, 'run_id does not refer to one of your runs.')
  }
  const { created_at, parent_id } = await found(rows, 'conversation', conversation_id)
  reply.code(201).header('location', `/messages/${message.id}`)
  for (const name of ['attachments', 'metadata', 'run_id', 'routing_decision', 'tool_calls']) {
    message[name] ??= null
  }
  const place = { parent_id, sibling_index: 1, sibling_count: 1, active: true }
  const more = { chat_attachments: [], feedback: null, created_at, details: null }
  return messageOf({ ...message, ...more, ...place })
})

app.get('/messages/:id', { schema: schemas.getMessage }, async ({ user, params: { id } }) => {
  const rows = await query('get_message', config.statements.get_message, user, id)
  return messageOf(await found(rows, 'message', id))
})

app.get('/users/me/chat-settings', { schema: schemas.getSettings }, async ({ user }) => {
  const [settings] = await query('get_settings', config.statements.get_settings, user)
  const { unsaved } = config
  return settings ?? { id: null, user_id: user, ...unsaved, created_at: null, updated_at: null }
})

await app.listen({ host: '127.0.0.1', port: config.port })
