package exec

func (m *vmem) loadFunc() opFunc { return m.load }
