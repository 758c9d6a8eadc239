/**
 * What the local stack runs. pom.xml, package.json and docker-compose.yml say the same, and a test
 * holds them together.
 */
export const KAFKA_VERSION = '4.3.1'
export const POSTGRES_VERSION = '18.4'
/** Redis comes from the machine; the image is of the oldest major version that is known to do. */
export const REDIS_MAJOR = '7'
export const JAVA_MAJOR_MIN = 17
