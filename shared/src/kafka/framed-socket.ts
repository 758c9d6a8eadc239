import { connect, type Socket } from 'node:net'
import { ResponseBuffers } from './response-buffers.ts'

/*
 * A response of Kafka is `size int32 | that many bytes`. Node gives a socket's data in chunks of
 * 64 KiB, of which kafkajs keeps a list and joins them: for large fetches that copying, and the
 * garbage of the chunks, cost more than half of all reading (0.17 us of 0.3 us a record). Here the
 * socket reads straight into the buffer of the response it is in, which is then handed on whole.
 */

/** A larger answer is not from Kafka: its own limit for a fetch is far below. */
const frameBytesMax = 512 * 1024 * 1024
const scratchBytes = 64 * 1024
const SIZE_BYTES = 4
const keepAliveMs = 60_000

/**
 * Opens a socket whose 'data' events each carry exactly one whole response, its size included. A
 * response that is cut off by the end of its connection dies with it.
 */
export function connectFramed(
  host: string,
  port: number,
  onConnect: () => void,
  buffers: ResponseBuffers = new ResponseBuffers(),
): Socket {
  const framer = createFramer((frame) => socket.emit('data', frame), buffers)
  const socket: Socket = connect(
    {
      host,
      port,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveMs,
      noDelay: true,
      onread: {
        buffer: () => framer.target(),
        callback(bytesRead) {
          const valid = framer.filled(bytesRead)
          if (!valid) socket.destroy(new Error('the peer does not speak the Kafka protocol'))
          return valid
        },
      },
    },
    onConnect,
  )
  return socket
}

export type Framer = {
  /** Where the next bytes are to be written. */
  target(): Uint8Array
  /** So many bytes have been written there; false when they cannot be a response. */
  filled(bytes: number): boolean
}

export function createFramer(onFrame: (frame: Buffer) => void, buffers: ResponseBuffers): Framer {
  const scratch = Buffer.allocUnsafeSlow(scratchBytes)
  let scratchFilled = 0
  /** The response that is being read straight into its own buffer. */
  let frame: Buffer | undefined
  let frameFilled = 0

  function frameIsFilled(bytes: number, target: Buffer): void {
    frameFilled += bytes
    if (frameFilled < target.length) return
    frame = undefined
    onFrame(target)
  }

  function takeFrames(): boolean {
    let position = 0
    while (scratchFilled - position >= SIZE_BYTES) {
      const size = SIZE_BYTES + scratch.readInt32BE(position)
      if (size < SIZE_BYTES || size > frameBytesMax) return false
      const present = Math.min(size, scratchFilled - position)
      const bytes = buffers.take(size)
      scratch.copy(bytes, 0, position, position + present)
      position += present
      if (present === size) onFrame(bytes)
      else {
        frame = bytes
        frameFilled = present
      }
    }
    scratch.copy(scratch, 0, position, scratchFilled)
    scratchFilled -= position
    return true
  }

  return {
    target: () =>
      frame === undefined ? scratch.subarray(scratchFilled) : frame.subarray(frameFilled),
    filled(bytes) {
      if (frame !== undefined) {
        frameIsFilled(bytes, frame)
        return true
      }
      scratchFilled += bytes
      return takeFrames()
    },
  }
}
