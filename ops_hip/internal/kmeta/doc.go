// Package kmeta knows the properties that every kernel must have, and those that tests demand of single ones. The
// backend checks an object when it loads it, and tests check every object that ships.
package kmeta
