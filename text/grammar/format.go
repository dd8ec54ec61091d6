package grammar

// formats are the formats of strings that are enforced, each by a regular expression for the whole string. Dates may
// be those of any month's 31 days only where the month has them.
var formats = map[string]string{
	"date":      fullDate,
	"time":      fullTime,
	"date-time": fullDate + `[Tt]` + fullTime,
	"duration": `P(([0-9]{1,4}W)|([0-9]{1,4}D(T` + timeSpan + `)?)|([0-9]{1,4}M([0-9]{1,4}D)?(T` + timeSpan +
		`)?)|([0-9]{1,4}Y([0-9]{1,4}M([0-9]{1,4}D)?)?(T` + timeSpan + `)?)|(T` + timeSpan + `))`,
	"uuid":     `[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`,
	"email":    `[a-zA-Z0-9_+-]{1,24}(\.[a-zA-Z0-9_+-]{1,16}){0,2}@` + hostname,
	"hostname": hostname,
	"ipv4":     ipv4,
	"ipv6":     `([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}|([0-9a-fA-F]{1,4}:){1,6}:[0-9a-fA-F]{1,4}|::([0-9a-fA-F]{1,4})?`,
	"uri": `[a-zA-Z][a-zA-Z0-9+-]{0,15}://` + hostname +
		`(:[0-9]{1,4})?(/[a-zA-Z0-9_.~-]*)*(\?[a-zA-Z0-9_.~=&-]*)?(#[a-zA-Z0-9_.~-]*)?`,
}

const (
	leapYear = `([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)`
	fullDate = `([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|` +
		leapYear + `-02-29)`
	fullTime = `([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])`
	timeSpan = `([0-9]{1,4}H([0-9]{1,4}M([0-9]{1,4}S)?)?|[0-9]{1,4}M([0-9]{1,4}S)?|[0-9]{1,4}S)`
	label    = `[a-zA-Z0-9]([a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?`
	hostname = label + `(\.` + label + `){0,4}`
	octet    = `(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])`
	ipv4     = octet + `(\.` + octet + `){3}`
)

// integerFormats are the bounds of the formats of integers.
var integerFormats = map[string][2]string{
	"int8": {"-128", "127"}, "int16": {"-32768", "32767"}, "int32": {"-2147483648", "2147483647"},
	"int64": {"-9223372036854775808", "9223372036854775807"},
	"uint8": {"0", "255"}, "uint16": {"0", "65535"}, "uint32": {"0", "4294967295"},
	"uint64": {"0", "18446744073709551615"},
}
