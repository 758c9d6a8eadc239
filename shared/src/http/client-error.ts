import type { Socket } from 'node:net'
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import { PROBLEM_CONTENT_TYPE, problemBody, type Problem } from './problem.ts'

type ClientError = Error & { code?: string }

/**
 * Answers what Node's HTTP parser refuses, before there is a request: too large headers, time-outs,
 * bytes that are not HTTP. `answered` knows the last response of each socket: where one has begun,
 * a second one would only garble it.
 */
export function answerClientError(
  error: ClientError,
  socket: Socket,
  answered: WeakMap<Socket, ServerResponse<IncomingMessage>>,
): void {
  const last = answered.get(socket)
  const busy = last !== undefined && last.headersSent && !last.req.complete
  if (error.code === 'ECONNRESET' || !socket.writable || busy) {
    socket.destroy()
    return
  }
  const problem = problemOf(error)
  const body = JSON.stringify(problemBody(problem))
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n` +
      `Content-Type: ${PROBLEM_CONTENT_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `Connection: close\r\n\r\n${body}`,
  )
}

function problemOf(error: ClientError): Problem {
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return { status: 431, code: 'headers-too-large', detail: 'the headers are too large' }
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return { status: 408, code: 'request-timeout', detail: 'the request took too long to arrive' }
  }
  return { status: 400, code: 'bad-http', detail: 'the request is not valid HTTP/1.1' }
}
